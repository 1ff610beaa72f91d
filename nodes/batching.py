"""Inputs of nodes that take whole lists: ComfyUI then passes every input as a list, even widgets.

Such nodes see all images at once, batches them, and pair captions from another node with the images they belong to.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, TypeVar

_T = TypeVar("_T")


def only(values: Sequence[Any] | dict[str, Any] | None) -> Any:
    """The value of a widget or single socket: `[x]` is x, `{"a": [x]}` is {"a": x}, nothing connected is None."""
    if isinstance(values, dict):
        return {name: only(value) for name, value in values.items()}
    return values[0] if values else None


def paired(values: Sequence[_T] | None, count: int, what: str) -> list[_T | None]:
    """One of `values` for each of `count` images: as many as images, one for all, or None where nothing is connected.

    Raises:
        ValueError: there are neither one nor `count` values.
    """
    given: list[_T | None] = [*values] if values else [None]
    if len(given) == count:
        return given
    if len(given) == 1:
        return given * count
    raise ValueError(f"Got {len(given)} {what} for {count} images: connect one for all images, or one per image.")
