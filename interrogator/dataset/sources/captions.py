"""What a source says of its pictures, in a text file or in a row of a table."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

CAPTION_COLUMNS = ("text", "caption", "prompt")
"""What captions are called in tables; the first that has a text counts."""


def caption_text(data: bytes) -> str:
    """A caption file's text: no mark at its start, no white space around, bytes that are no UTF-8 replaced."""
    return data.decode("utf-8-sig", "replace").strip()


def exact_text(data: bytes) -> str:
    """A caption file's text with its mark, and bytes that are no UTF-8 as lone surrogates; no white space around it."""
    try:
        return data.decode("utf-8").strip()
    except UnicodeDecodeError:
        return data.decode("utf-8", "surrogateescape")


def row_captions(row: Mapping[str, Any], columns: Sequence[str] = CAPTION_COLUMNS) -> tuple[str, ...]:
    """What a row says of its picture: the first of the columns that has a text, or a list of them, which is not blank.

    A blank text is one, too, if there is no other. () if there is none at all.
    """
    blank: tuple[str, ...] = ()
    for column in columns:
        value = row.get(column)
        texts = tuple(text.strip() for text in (value if isinstance(value, list) else [value]) if isinstance(text, str))
        if any(texts):
            return tuple(text for text in texts if text)
        blank = blank or texts[:1]
    return blank
