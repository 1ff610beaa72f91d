"""What the tables of text_tables share: one text file with the captions of all pictures."""

from __future__ import annotations

import json
import os
from abc import ABC, abstractmethod
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from itertools import chain, islice
from pathlib import Path
from types import MappingProxyType
from typing import IO, Any, NamedTuple

from ...files import whole_file
from ..records import Item, Record
from ..sources.io.windows_names import is_of_windows, portable
from .existing_rows import Row, Rows
from .options import DEFAULT_OPTIONS, TargetOptions
from .target import Names, Rejected, WrittenAtEnd, is_utf8, item_of, reject

Value = str | list[str] | None
_TAGS, _TEXTS = "tags", "texts"
_PEEKED = 1000  # records that are looked through for tags and texts


class Shared(NamedTuple):
    """What tables that are read together have in common.

    Attributes:
        columns: all have them.
        empty: by column what stands for nothing, where a table has no cell of it that would say of what kind it is.
        has_lists: whether captions are lists.
    """

    columns: tuple[str, ...] = ()
    empty: Mapping[str, Any] = MappingProxyType({})
    has_lists: bool = False


class TextTable(WrittenAtEnd, ABC):
    """A table that is written anew from what it was and the run's records.

    Rows of the run come first, in the run's order, then those that were there and are not of the run. Columns that are
    not the caption's are kept. A picture that failed keeps its row as it was, or has none. `existing` of a list of
    captions has one per line.
    """

    name_column = "file_name"
    """What the column of names is called, unless somebody asks for another."""
    lists = False  # whether several captions are a list; else one per line
    has_tags = False  # whether rows get the tags of their records, and their texts for encoders

    def __init__(
        self, kind: str, path: Path, names: Names, column: str, several: bool, options: TargetOptions = DEFAULT_OPTIONS
    ) -> None:
        self.kind = kind
        self.name_column = options.name_column or self.name_column
        self._options = options
        self._file = path
        self._names = names
        self._column = column
        self._several = several
        self._state: tuple[int, ...] | None = None
        self._old: Rows | None = None
        self._windows: dict[str, str] = {}  # names that somebody wrote on Windows, by what they are here
        self._shared = Shared()
        self._rows()  # now, for a file that cannot be read should stop the run before it begins

    @staticmethod
    def shared_columns(tables: Iterable[TextTable], tags: bool, texts: bool) -> Shared:
        """What tables that are read together all need: the columns of any of them, and those for tags and texts."""
        rows = [(table, table._current()) for table in tables]
        words = ((table._column, *(name for name in old.columns)) for table, old in rows)
        more = [name for name, is_there in ((_TAGS, tags), (_TEXTS, texts)) if is_there]
        empty: dict[str, Any] = {}
        for _, old in rows:
            for _, row in islice(old.others(frozenset()), _PEEKED):
                empty |= {name: "" for name, cell in row.items() if isinstance(cell, str)}
        has_lists = any(table._several and table.lists or table._column in old.lists for table, old in rows)
        return Shared(tuple(dict.fromkeys((*more, *chain.from_iterable(words)))), empty, has_lists)

    def lacks(self, shared: Shared) -> bool:
        """Whether the table, as it is, has rows and not all that is shared."""
        old = self._current()
        has_lists = self._column in old.lists
        return len(old) > 0 and (not {*shared.columns} <= {*old.columns} or shared.has_lists and not has_lists)

    def share(self, shared: Shared) -> None:
        """Write from now on as the tables that are read together with this one."""
        old = self._current()
        own = {name: cell for name, cell in shared.empty.items() if name not in old.columns and name != self._column}
        self._shared = Shared(shared.columns, own, shared.has_lists)

    def files(self) -> list[Path]:
        return [self._file]

    @property
    def columns(self) -> Sequence[str]:
        """The columns of the rows that are there."""
        return self._rows().columns

    def existing(self, item: Item) -> str | None:
        return _as_text(self._cell(item))

    def captions(self, item: Item) -> tuple[str, ...]:
        value = self._cell(item)
        texts = tuple(text for text in value if isinstance(text, str)) if isinstance(value, list) else ()
        return texts if len(texts) > 1 else ()

    def finish(self, records: Iterable[Record]) -> list[Rejected]:
        odd: list[Rejected] = []

        def written(record: Record, row: Row) -> Row:
            if record.status == "done" and self._has_other_texts(record, row):
                odd.append(reject(record, "its row has other texts for encoders, which stay; write to another folder"))
                return row
            if record.status == "done" or record.status == "kept" and record.caption and row.get(self._column) is None:
                return {**row, self._column: self._value(record, row), **self._cells(record, row)}
            return row

        return self._rewrite(records, written) + odd

    def restore(self, records: Iterable[Record]) -> list[Rejected]:
        changed: list[Rejected] = []

        def put_back(record: Record, row: Row) -> Row:
            now = _as_text(row.get(self._column))
            if not record.is_for_target or now == record.existing:
                return row
            if (now or "") != (_as_text(self._value(record, row)) or ""):  # csv has no word for an empty text
                changed.append(reject(record, "its caption was changed after the run, so it stays as it is"))
                return row
            restored = dict(row)
            if self.has_tags and row.get(_TAGS) == record.tag_texts:
                restored.pop(_TAGS, None)
            if self.has_tags and row.get(_TEXTS) == dict(record.texts):
                restored.pop(_TEXTS, None)
            if record.existing is None:
                del restored[self._column]
            else:
                as_list = isinstance(row.get(self._column), list)
                restored[self._column] = record.existing.split("\n") if as_list else record.existing
            return restored

        return self._rewrite(records, put_back) + changed

    def _rewrite(self, records: Iterable[Record], row_of: Callable[[Record, Row], Row]) -> list[Rejected]:
        """Write the file again with `row_of` a record and its row so far as its row."""
        rejected: list[Rejected] = []
        old = self._old = self._current()
        rest = iter(records)
        peeked = list(islice(rest, _PEEKED)) if self.has_tags else []
        more = {_TAGS: any(record.tags for record in peeked), _TEXTS: any(record.texts for record in peeked)}
        columns = [self._column, *(name for name, is_there in more.items() if is_there), *old.columns]
        columns += [name for name in self._shared.columns if name not in columns]
        rows = self._merged(chain(peeked, rest), old, row_of, rejected)
        try:
            first = next(rows, None)
            if first is None:  # readers take no file without rows
                self._file.unlink(missing_ok=True)
                return rejected
            self._file.parent.mkdir(parents=True, exist_ok=True)
            with whole_file(self._file) as file:
                self._dump(file, chain([first], rows), columns)
        finally:
            self._old = self._state = None  # read again only if somebody asks
        return rejected

    def _rows(self) -> Rows:
        """The rows that were there when they were read last."""
        return self._current() if self._old is None else self._old

    def _current(self) -> Rows:
        """The rows that are there now; read again only if the file is another than before."""
        try:
            status = self._file.stat()
            state: tuple[int, ...] = (status.st_ino, status.st_size, status.st_mtime_ns)
        except FileNotFoundError:
            state = ()
        if self._old is None or state != self._state:
            if self._old is not None:
                self._old.close()
            self._old, self._state = self._load(), state
            home = self._file.parent
            of_windows = filter(is_of_windows, self._old.names())
            self._windows = {portable(name, lambda end: os.path.lexists(home / end)): name for name in of_windows}
        return self._old

    def _merged(
        self, records: Iterable[Record], old: Rows, row_of: Callable[[Record, Row], Row], rejected: list[Rejected]
    ) -> Iterator[tuple[str, Row]]:
        used: set[str] = set()
        for record in records:
            item = item_of(record)
            name, problem = self._name(item)
            if problem or not is_utf8(record.caption, *record.captions, *record.texts.values()):
                if record.status != "failed":
                    rejected.append(reject(record, problem or "its caption is not UTF-8"))
                continue
            if name in used:
                rejected.append(reject(record, f"another picture is also called {name}"))
                continue
            spelling, found = self._find(old, name, item)
            row = row_of(record, found)
            if not row and not found:
                continue
            used |= {name, spelling}
            if any(cell is not None for cell in row.values()):
                yield self._spelled(name, spelling), row
        yield from old.others(used)
        old.close()  # where files are locked while they are open, a new one could not take its place

    def _name(self, item: Item) -> tuple[str, str]:
        """What the picture's row is to be called, and why it cannot have one ("" if it can)."""
        return self._names.of(item)

    def _cell(self, item: Item) -> Any:
        """What the picture's row has in the caption's column; None if it has no row."""
        name, problem = self._name(item)
        return None if problem else self._find(self._rows(), name, item)[1].get(self._column)

    def _find(self, old: Rows, name: str, item: Item) -> tuple[str, Row]:
        """What the picture's row was called, and what it holds so far."""
        for here in (name, *self._spellings(item)):
            for spelling in (here, self._windows.get(here)):
                row = None if spelling is None else old.get(spelling)
                if spelling is not None and row is not None:
                    return spelling, row
        return name, {}

    def _spellings(self, item: Item) -> Sequence[str]:
        """What else the picture's row may be called."""
        return self._names.spellings(item)

    def _spelled(self, name: str, spelling: str) -> str:
        """What the picture's row is called from now on, given what it was called."""
        return name

    def _value(self, record: Record, row: Row) -> Value:
        captions = list(record.captions or (record.caption,))
        if not self._several:
            is_list = isinstance(row.get(self._column), list) or self.lists and "\n".join(captions) == record.caption
            return captions if is_list and len(captions) > 1 else record.caption
        return captions if self.lists else "\n".join(captions)

    def _cells(self, record: Record, row: Row) -> Row:
        """The cells for tags and texts; none where a row has tags already, which may be somebody's own."""
        if not self.has_tags:
            return {}
        tags = {_TAGS: record.tag_texts} if record.tags and row.get(_TAGS) is None else {}
        return {**tags, _TEXTS: dict(record.texts)} if record.texts else tags

    def _has_other_texts(self, record: Record, row: Row) -> bool:
        """Whether a row has texts that a run would replace, though nothing could put them back."""
        return self.has_tags and bool(record.texts) and row.get(_TEXTS) not in (None, dict(record.texts))

    def _json(self, value: Any) -> bytes:
        """JSON as people read it; half surrogate pairs, which somebody else's rows may hold, as escapes."""
        try:
            return json.dumps(value, ensure_ascii=self._options.ascii).encode()
        except UnicodeEncodeError:
            return json.dumps(value).encode()

    def _line(self, row: Row) -> bytes:
        return self._json(row) + b"\n"

    @abstractmethod
    def _load(self) -> Rows:
        """Read the rows of the file; none if it is not there. Raises RequestError."""

    @abstractmethod
    def _dump(self, file: IO[bytes], rows: Iterable[tuple[str, Row]], columns: Sequence[str]) -> None:
        """Write rows with their names; `columns` are all that any row may have."""


def _as_text(value: Any) -> str | None:
    if isinstance(value, list):
        return "\n".join(part for part in value if isinstance(part, str))
    return value if isinstance(value, str) else None
