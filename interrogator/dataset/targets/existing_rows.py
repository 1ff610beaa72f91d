"""The rows that a text file already has, found by the picture they are of."""

from __future__ import annotations

import io
import json
from collections.abc import Iterable, Iterator, Set
from pathlib import Path
from typing import IO, Any, Protocol

from ...errors import RequestError
from ..sources.io.errors import reason
from ..sources.io.tables import csv_rows, json_row

Row = dict[str, Any]


class Rows(Protocol):
    """Rows by name, without the column of the name itself. Of several rows of one name the first is meant."""

    columns: list[str]
    """Of any row, in the order they were met."""
    lists: frozenset[str]
    """The columns that hold a list in some row."""

    def __len__(self) -> int:
        """How many names there are."""

    def get(self, name: str) -> Row | None: ...

    def names(self) -> Iterable[str]:
        """All names, each once."""

    def others(self, used: Set[str]) -> Iterator[tuple[str, Row]]:
        """All but the named ones, in their order; also further rows of one name, and those without a name ("")."""

    def close(self) -> None:
        """Let go of the file; the rows cannot be asked for again."""


class MemoryRows:
    """Rows that are in memory."""

    def __init__(self, rows: Iterator[tuple[str, Row]]) -> None:
        self._rows = list(rows)
        self._by_name = dict(reversed(self._rows))
        self.columns = list(dict.fromkeys(column for _, row in self._rows for column in row))
        self.lists = frozenset(column for _, row in self._rows for column in row if isinstance(row[column], list))

    def __len__(self) -> int:
        return len(self._by_name)

    def get(self, name: str) -> Row | None:
        return self._by_name.get(name) if name else None

    def names(self) -> Iterable[str]:
        return self._by_name.keys()

    def others(self, used: Set[str]) -> Iterator[tuple[str, Row]]:
        seen: set[str] = set()
        for name, row in self._rows:
            if name not in used or name in seen:
                yield name, row
            seen.add(name)

    def close(self) -> None:
        pass


class LineRows:
    """The rows of a file with one JSON object a line; only their names and offsets are in memory.

    The file stays open: should another process put a new one in its place, the rows are still those of the old one,
    and an offset never meets lines that it was not taken from.

    A row without the column of names is found by another that may have them, such as that of readers before.

    Raises RequestError, which names the line that is none.
    """

    def __init__(self, path: Path, name_column: str, other_column: str = "") -> None:
        self._path = path
        self._name_columns = tuple(column for column in (name_column, other_column) if column)
        self._file = _opened(path)
        self._offsets: dict[str, tuple[int, int]] = {}
        columns: dict[str, None] = {}
        lists: set[str] = set()
        for offset, number, line in self._lines():
            row = json_row(line, str(path), number)
            name = self._take_name(row)
            columns.update(dict.fromkeys(row))
            lists.update(column for column, cell in row.items() if isinstance(cell, list))
            if name:
                self._offsets.setdefault(name, (offset, number))
        self.columns = list(columns)
        self.lists = frozenset(lists)

    def __len__(self) -> int:
        return len(self._offsets)

    def get(self, name: str) -> Row | None:
        if name not in self._offsets:
            return None
        offset, number = self._offsets[name]
        self._file.seek(offset)
        row = json_row(self._file.readline(), str(self._path), number)
        self._take_name(row)
        return row

    def names(self) -> Iterable[str]:
        return self._offsets.keys()

    def others(self, used: Set[str]) -> Iterator[tuple[str, Row]]:
        known = {number for name, (_, number) in self._offsets.items() if name in used}
        for _, number, line in self._lines():
            if number in known:
                continue  # without parsing it again
            row = json_row(line, str(self._path), number)
            yield self._take_name(row), row

    def close(self) -> None:
        self._file.close()

    def _take_name(self, row: Row) -> str:
        """The name of a row, which it then lacks; "" if it has none."""
        for column in self._name_columns:
            name = row.pop(column, None)
            if isinstance(name, str):
                return name
        return ""

    def _lines(self) -> Iterator[tuple[int, int, bytes]]:
        offset = 0
        self._file.seek(0)
        for number, line in enumerate(self._file, 1):
            if line.strip():
                yield offset, number, line
            offset += len(line)


def _opened(path: Path) -> IO[bytes]:
    """The file; an empty one if there is none."""
    try:
        return open(path, "rb")
    except FileNotFoundError:
        return io.BytesIO()


def read_json(path: Path) -> Any:
    """What a JSON file holds; `{}` if there is none. Raises RequestError if it is not JSON."""
    try:
        return json.loads(path.read_bytes().decode("utf-8-sig"))
    except FileNotFoundError:
        return {}
    except (ValueError, RecursionError) as error:
        raise RequestError(f"{path}: is not JSON ({reason(error)})") from error


def json_object_rows(path: Path) -> MemoryRows:
    """The rows of `{"name": {…}, …}`. Raises RequestError if the file holds something else."""
    whole = read_json(path)
    if not isinstance(whole, dict) or not all(isinstance(row, dict) for row in whole.values()):
        raise RequestError(f"{path}: is not a JSON object of objects")
    return MemoryRows(iter(whole.items()))


def csv_file_rows(path: Path, name_column: str) -> MemoryRows:
    """The rows of a csv file with a header. Raises RequestError if it has no column of that name."""
    try:
        text = path.read_bytes().decode("utf-8-sig")
    except FileNotFoundError:
        return MemoryRows(iter(()))
    except UnicodeDecodeError as error:
        raise RequestError(f"{path}: is not UTF-8 ({reason(error)})") from error
    rows = [
        {column: cell or None for column, cell in row.items()}
        for row in csv_rows(io.StringIO(text, newline=""), str(path))
    ]
    if rows and name_column not in rows[0]:
        raise RequestError(f"{path}: has no column {name_column}")
    return MemoryRows((row.pop(name_column) or "", row) for row in rows)
