"""The lines of a text, each of which may be a caption of its own."""

from __future__ import annotations

import re
from collections.abc import Callable

_BREAK = re.compile(r"(\r\n|\r|\n)")


def lines_of(text: str) -> list[str]:
    """The lines that are not blank, as they stand."""
    return [line for line in _BREAK.split(text)[::2] if line.strip()]


def by_line(text: str, edit: Callable[[str], str]) -> str:
    """Edit a text line by line: each may be a caption of its own. Breaks stay; a line of which nothing is left goes."""
    if "\n" not in text and "\r" not in text:
        return edit(text)
    pieces = _BREAK.split(text)
    kept: list[str] = []
    for line, end in zip(pieces[::2], [*pieces[1::2], ""], strict=True):
        new = edit(line) if line.strip() else line
        if new.strip() or not line.strip():
            kept += [new, end]
    return "".join(kept[:-1] if len(kept) < len(pieces) else kept)
