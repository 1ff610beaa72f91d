"""Lists of captions by the names of pictures, a file for each folder: what diffusion-pipe picks captions from."""

from __future__ import annotations

import json
import os
from collections.abc import Iterable, Iterator, Sequence
from pathlib import Path
from typing import IO

from ...errors import RequestError
from ..records import Item, Record
from ..sources.io.folder_walk import walk
from .existing_rows import MemoryRows, Row, read_json
from .link_check import LinkCheck
from .target import Names, Rejected, WrittenAtEnd, item_of, reject
from .text_table import TextTable, Value

FILE = "captions.json"
_COLUMN = "captions"


class CaptionsJsonTarget(WrittenAtEnd):
    """`{"a.png": ["a cat", "one cat"], …}` in each folder that has pictures of the run, beside them.

    Each line of a text is an entry of the list. Letters that are not ASCII are escaped, for the trainer opens the file
    in the encoding of its system. Records are kept until all are there, then written folder by folder.
    """

    kind = "captions-json"

    def __init__(self, root: Path, names: Names) -> None:
        """Read the files that are there.

        root: what the folders of the pictures are under; nothing is written elsewhere.

        Raises RequestError: a file of this name holds something else.
        """
        self._root = root
        self._names = names
        self._links = LinkCheck()
        self._tables: dict[str, _FolderTable] = {}
        for file in self.files():
            self._table(str(file.parent))

    def files(self) -> list[Path]:
        if not self._root.is_dir():
            return []
        found = (self._root / each.key for each in walk(str(self._root), FILE.__eq__))
        return [path for path in found if path.is_symlink() or not self._links.problem(path, self._root)]

    def existing(self, item: Item) -> str | None:
        folder = self._folder(item)
        return self._table(folder).existing(item) if folder else None

    def captions(self, item: Item) -> tuple[str, ...]:
        folder = self._folder(item)
        return self._table(folder).captions(item) if folder else ()

    def refusal(self, item: Item) -> str:
        folder = self._folder(item)
        return self._links.problem(Path(folder, FILE), self._root) if folder else ""

    def finish(self, records: Iterable[Record]) -> list[Rejected]:
        rejected: list[Rejected] = []
        for folder, group in self._by_folder(records, rejected):
            rejected += self._table(folder).finish(group)
        self._tables = {}
        return rejected

    def restore(self, records: Iterable[Record]) -> list[Rejected]:
        rejected: list[Rejected] = []
        for folder, group in self._by_folder(records, rejected):
            rejected += self._table(folder).restore(group)
        self._tables = {}
        return rejected

    def _by_folder(
        self, records: Iterable[Record], rejected: list[Rejected]
    ) -> Iterator[tuple[str, list[Record]]]:  # fmt: skip
        """The records of each folder, as far as a file of captions needs them."""
        groups: dict[str, list[Record]] = {}
        for record in records:
            item = item_of(record)
            folder = self._folder(item)
            problem = self.refusal(item) if folder else "its picture is no file that captions could be beside"
            if not problem:
                light = Record(
                    record.key, record.status, source=record.source, caption=record.caption, captions=record.captions,
                    existing=record.existing,
                )  # fmt: skip
                groups.setdefault(folder, []).append(light)
            elif record.status != "failed":
                rejected.append(reject(record, problem))
        yield from groups.items()

    def _folder(self, item: Item) -> str:
        whole = self._names.whole(item)
        return os.path.dirname(whole) if whole else ""

    def _table(self, folder: str) -> _FolderTable:
        if folder not in self._tables:
            names = _NamesInFolder(self._names, Path(folder))
            self._tables[folder] = _FolderTable(self.kind, Path(folder) / FILE, names, _COLUMN, several=True)
        return self._tables[folder]


class _NamesInFolder(Names):
    """The same pictures, called by their paths from a folder."""

    def __init__(self, names: Names, folder: Path) -> None:
        super().__init__(tuple(names.sources.values()), folder)
        self._names = names

    def whole(self, item: Item) -> str:
        return self._names.whole(item)


class _FolderTable(TextTable):
    """The file of one folder, which is read into memory."""

    lists = True

    def _value(self, record: Record, row: Row) -> Value:
        captions = record.captions if len(record.captions) > 1 else tuple(record.caption.split("\n"))
        return [caption for caption in captions if caption.strip()] or [record.caption]

    def _load(self) -> MemoryRows:
        return MemoryRows(_rows(self._file))

    def _dump(self, file: IO[bytes], rows: Iterable[tuple[str, Row]], columns: Sequence[str]) -> None:
        before = "{\n"
        for name, row in rows:
            file.write(f"{before}{json.dumps(name)}: {json.dumps(row[_COLUMN])}".encode())
            before = ",\n"
        file.write(b"\n}\n")


def _rows(path: Path) -> Iterator[tuple[str, Row]]:
    """The names and captions that are there. Raises RequestError: the file holds something else."""
    whole = read_json(path)
    if not isinstance(whole, dict):
        raise RequestError(f"{path}: is not a JSON object of captions by the names of pictures")
    yield from ((name, {_COLUMN: captions}) for name, captions in whole.items())
