"""Brackets in prompts, which ComfyUI's text encoders read as weights."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

from comfy_api.latest import io

from ..interrogator.prompts import escape_brackets, join

if TYPE_CHECKING:
    from ..interrogator import Interrogation


def escape_input() -> Any:
    """The switch that several nodes share."""
    return io.Boolean.Input(
        "escape", default=True, optional=True,
        tooltip="Escape brackets in the prompt with a backslash; text encoders would read them as weights.",
    )  # fmt: skip


def prompts(results: Sequence[Interrogation], escape: bool | None) -> list[str]:
    """The prompts of interrogations, brackets escaped unless `escape` is off."""
    return [result.prompt if escape is False else result.escaped_prompt for result in results]


def tag_lists(results: Sequence[Interrogation], escape: bool | None) -> list[str]:
    """The tags of interrogations, separated by commas, brackets escaped unless `escape` is off."""
    lists = [join(*(tag.text for tag in result.tags)) for result in results]
    return lists if escape is False else [escape_brackets(tags) for tags in lists]
