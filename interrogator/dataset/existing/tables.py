"""Tables of names and texts that are no target of ours, and which of their columns hold what."""

from __future__ import annotations

import os
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

from ...errors import RequestError
from ..records import Item
from ..sources import Source
from ..sources.captions import CAPTION_COLUMNS
from ..sources.io.storage import storage_of
from ..sources.io.tables import read_rows
from ..sources.io.windows_names import portable
from ..sources.source import stem
from ..targets.existing_rows import json_object_rows

_NAMES = ("file_name", "image_path", "path", "key", "image", "file")


class Table:
    """A table of names and texts, in memory; a picture is found by its path, with or without its ending.

    Of a row, what counts is the column for texts, else its text and its tags. A name with `\\` in it is one of Windows.
    """

    def __init__(self, path: Path, sources: Sequence[Source], column: str = "") -> None:
        """Raises RequestError: the table cannot be read, or has no column for names or for texts."""
        self._folder = os.path.join(os.path.abspath(path.parent), "")
        self._sources = sources
        self._texts = dict(_rows(path, column))

    def text(self, item: Item, there: str | None) -> str | None:
        whole = self._sources[item.source].path(item)
        absolute = "" if whole is None else os.path.abspath(whole).replace(os.sep, "/")
        relative = absolute.removeprefix(self._folder.replace(os.sep, "/"))
        names = (relative, item.key, absolute)
        for name in (*names, *map(stem, names)):
            if name and name in self._texts:
                return self._texts[name]
        return None


def caption_column(path: Path) -> str:
    """The column of a table that holds its captions, `text` where nothing tells. Raises RequestError."""
    if not path.is_file():
        return CAPTION_COLUMNS[0]
    if path.suffix.lower() == ".json":
        return "caption"
    storage, address = storage_of(str(path))
    row = next(read_rows(storage, address), {})
    return next((name for name in CAPTION_COLUMNS if name in row), CAPTION_COLUMNS[0])


def _rows(path: Path, column: str) -> Iterator[tuple[str, str]]:
    """Names and texts of a table; of two rows with one name the last counts."""
    if path.suffix.lower() == ".json":
        yield from (
            (_name(name, path.parent), text) for name, row in _objects(path) if (text := _text(row, column)) is not None
        )
        return
    storage, address = storage_of(str(path))
    name_column = ""
    for row in read_rows(storage, address):
        name_column = name_column or next((name for name in _NAMES if name in row), "")
        if not name_column:
            there = ", ".join(map(str, row)) or "none"
            raise RequestError(f"{path}: has no column for names such as {_NAMES[0]}, only {there}")
        name, text = row.get(name_column), _text(row, column)
        if isinstance(name, str) and text is not None:
            yield _name(name, path.parent), text


def _objects(path: Path) -> Iterator[tuple[str, Mapping[str, Any]]]:
    return json_object_rows(path).others(frozenset())


def _text(row: Mapping[str, Any], column: str) -> str | None:
    if column and column in row:
        return _cell(row[column])
    text = next((cell for name in CAPTION_COLUMNS if (cell := _cell(row.get(name))) is not None), None)
    tags = _tags(row.get("tags"))
    return text if not tags else tags if not text else f"{text}, {tags}"


def _cell(value: Any) -> str | None:
    if isinstance(value, list):
        texts = [each for each in value if isinstance(each, str)]
        return "\n".join(texts) if texts else None
    return value if isinstance(value, str) else None


def _tags(value: Any) -> str:
    """Tags in any of the forms that tables have: one text, a list of texts, or of objects with a text."""
    if not isinstance(value, list):
        return value if isinstance(value, str) else ""
    texts = [each.get("text") if isinstance(each, Mapping) else each for each in value]
    return ", ".join(each for each in texts if isinstance(each, str) and each)


def _name(name: str, folder: Path) -> str:
    """A name with `/` between its parts, wherever it was written."""
    return portable(name, lambda end: os.path.lexists(folder / end)).removeprefix("./")
