"""Texts that come from other nodes, of which anything may come."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from ..interrogator.dataset.text import tidy
from .batching import paired


def text_of(value: Any, what: str) -> str:
    """What came in as a text; "" where nothing is connected.

    Raises:
        ValueError: it is no text; says what came instead, such as a list inside of a list.
    """
    if value is None or isinstance(value, str):
        return value or ""
    kind = "a list" if isinstance(value, list | tuple) else f"of type {type(value).__name__}"
    raise ValueError(f"The input {what} got no text but something {kind}: connect an output with one text per image.")


def caption_of(value: Any) -> str:
    """A caption as a prompt may begin with it: on one line, one space between words, no comma at its end."""
    return tidy(text_of(value, "caption"))


def texts_of(values: Sequence[Any] | None, count: int, what: str, many: str) -> list[str | None]:
    """`paired` for texts; None where nothing is connected. Raises ValueError as it and as `text_of`."""
    return [None if value is None else text_of(value, what) for value in paired(values, count, many)]


def captions_of(values: Sequence[Any] | None, count: int) -> list[str | None]:
    """The caption of each image as `caption_of` has it; None where nothing is connected."""
    return [None if value is None else tidy(value) for value in texts_of(values, count, "caption", "captions")]
