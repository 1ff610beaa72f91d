"""Parentheses in prompts, which ComfyUI's text encoders read as weights.

ComfyUI takes the backslash off `\\(` and `\\)` only; before other brackets it would reach the encoder. Braces
mean something where the front end sends what was typed into a widget, so web/js/result_box.js escapes them in what it
copies.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

from comfy_api.latest import io

from ..interrogator.prompts import join

if TYPE_CHECKING:
    from ..interrogator import Interrogation

_PARENTHESIS = re.compile(r"(?<!\\)[()]")
_NEEDLESS = re.compile(r"\\(?=[\[\]{}])")


def escape_input() -> Any:
    """The switch that several nodes share."""
    return io.Boolean.Input(
        "escape", default=True, optional=True,
        tooltip="Escape parentheses in the prompt with a backslash; text encoders would read them as weights.",
    )  # fmt: skip


def escaped(text: str, escape: bool | None = True) -> str:
    r"""The text with a backslash before each parenthesis: `a cat (old)` -> `a cat \(old\)`; as it is for False."""
    return text if escape is False else _PARENTHESIS.sub(r"\\\g<0>", text)


def for_comfyui(text: str) -> str:
    r"""A text that the library has escaped, as ComfyUI reads it: `\(old\) \[cat\]` -> `\(old\) [cat]`."""
    return _NEEDLESS.sub("", text)


def prompts(results: Sequence[Interrogation], escape: bool | None) -> list[str]:
    """The prompts of interrogations, parentheses escaped unless `escape` is off."""
    return [escaped(result.prompt, escape) for result in results]


def tag_lists(results: Sequence[Interrogation], escape: bool | None) -> list[str]:
    """The tags of interrogations, separated by commas, parentheses escaped unless `escape` is off."""
    return [escaped(join(*(tag.text for tag in result.tags)), escape) for result in results]
