"""Hugging Face's metadata files where a folder has several: one in each split, and each that is there is kept up."""

from __future__ import annotations

import json
import os
import re
import tempfile
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import ExitStack
from pathlib import Path
from typing import IO

from ...errors import RequestError
from ..records import Item, Record
from ..sources.io.folder_walk import walk
from .target import Names, Rejected, WrittenAtEnd, item_of
from .text_table import TextTable
from .text_tables import Csv, MetadataJsonl

METADATA_FILES = {"jsonl": "metadata.jsonl", "csv": "metadata.csv"}
"""By kind of target."""
_PARQUET = "metadata.parquet"
# As `datasets` finds splits by the names of folders; a metadata file belongs to the split that it lies in.
_SPLIT = re.compile(
    r"(.*[-._ 0-9])?(train|training|validation|valid|dev|val|test|testing|eval|evaluation)([-._ 0-9].*)?", re.DOTALL
)


class MetadataTables(WrittenAtEnd):
    """metadata.jsonl or metadata.csv for `datasets.load_dataset("imagefolder")`.

    A picture's row is in the nearest file around it that is there; where none is, in one in its split, such as
    `train/`, or in `root`. All are of one kind and have the same columns, for `datasets` refuses others.
    Raises RequestError: the folder has a metadata.parquet, or a file cannot be read.
    """

    def __init__(
        self, kind: str, root: Path, names: Callable[[Path], Names], column: str, several: bool, has_more: bool
    ) -> None:
        """Look for files that are there.

        names: what pictures are called in a table of this folder.
        has_more: whether folders below can have files of their own.
        """
        self.kind = kind
        self._root = root
        self._names = names
        self._in_root = names(root)
        self._column = column
        self._several = several
        self._has_more = has_more
        self._tables: dict[str, TextTable] = {}
        self._nearest: dict[str, str] = {}
        there = self._there()
        odd = [self._root / folder / name for folder, name in there.items() if name == _PARQUET]
        if odd:
            raise RequestError(
                f"{odd[0]}: is not written here, and readers take no second kind of metadata beside it; move it away, "
                "or bring the pictures to another folder (--out with --copy-images)"
            )
        kinds = {name for name in there.values() if name != METADATA_FILES[kind]}
        self._file = METADATA_FILES[kind] if not kinds or METADATA_FILES[kind] in there.values() else kinds.pop()
        for folder in there:
            self._table(folder)

    def files(self) -> list[Path]:
        folders = {"", *self._there(), *self._splits(), *self._tables}
        return [self._table(folder).files()[0] for folder in sorted(folders)]

    def existing(self, item: Item) -> str | None:
        return self._of(item).existing(item)

    def captions(self, item: Item) -> tuple[str, ...]:
        return self._of(item).captions(item)

    def finish(self, records: Iterable[Record]) -> list[Rejected]:
        return self._divided(records, lambda table, own: table.finish(own))

    def restore(self, records: Iterable[Record]) -> list[Rejected]:
        return self._divided(records, lambda table, own: table.restore(own))

    def _divided(
        self, records: Iterable[Record], write: Callable[[TextTable, Iterable[Record]], list[Rejected]]
    ) -> list[Rejected]:
        """Give each table its records; those of several are put aside on the disk meanwhile."""
        self._nearest.clear()  # somebody may have put files there, or taken them away
        if not self._has_more or not ({*self._there(), *self._splits(), *self._tables} - {""}):
            return write(self._table(""), records)
        rejected: list[Rejected] = []
        with ExitStack() as stack:
            aside: dict[str, IO[bytes]] = {}
            has_tags = has_texts = has_lists = False
            for record in records:
                folder = self._folder(item_of(record))
                if folder not in aside:
                    aside[folder] = stack.enter_context(tempfile.TemporaryFile())
                aside[folder].write(json.dumps(record.as_dict()).encode("ascii") + b"\n")
                has_tags, has_texts = has_tags or bool(record.tags), has_texts or bool(record.texts)
                has_lists = has_lists or record.is_for_target and len(record.captions) > 1
            tables = {folder: self._table(folder) for folder in {*aside, *self._there()}}
            shared = TextTable.shared_columns(tables.values(), has_tags, has_texts)
            shared = shared._replace(has_lists=shared.has_lists or has_lists)
            for folder, table in sorted(tables.items()):
                if folder in aside or table.lacks(shared):
                    table.share(shared)
                    rejected += write(table, _read(aside[folder]) if folder in aside else ())
        return rejected

    def _of(self, item: Item) -> TextTable:
        return self._table(self._folder(item))

    def _folder(self, item: Item) -> str:
        """The folder, from the root, whose file a picture's row is in."""
        parent = self._in_root.of(item)[0].rpartition("/")[0]
        if not self._has_more:
            return ""
        if parent not in self._nearest:
            self._nearest[parent] = self._find(parent)
        return self._nearest[parent]

    def _find(self, parent: str) -> str:
        parts = parent.split("/") if parent else []
        around = ["/".join(parts[:count]) for count in range(len(parts), -1, -1)]
        for folder in around:
            if any(os.path.exists(self._root / folder / name) for name in METADATA_FILES.values()):
                return folder
        first = next((count for count, part in enumerate(parts, 1) if _SPLIT.fullmatch(part)), 0)
        return "/".join(parts[:first])

    def _table(self, folder: str) -> TextTable:
        """The table of a folder; one that is there is of the kind it has."""
        if folder not in self._tables:
            home = self._root / folder
            own = [name for name in (self._file, *METADATA_FILES.values()) if (home / name).exists()] or [self._file]
            names = self._names(home)
            if own[0] == METADATA_FILES["csv"]:
                self._tables[folder] = Csv(self.kind, home / own[0], names, self._column, self._several)
            else:
                self._tables[folder] = MetadataJsonl(self.kind, home / own[0], names, self._column, self._several)
        return self._tables[folder]

    def _there(self) -> dict[str, str]:
        """By folder, from the root, the metadata file in it; of two the one of our kind."""
        found: dict[str, str] = {}
        for path in metadata_in(self._root, (*METADATA_FILES.values(), _PARQUET), self._has_more):
            key = path.relative_to(self._root).as_posix()
            folder, _, name = key.rpartition("/")
            if name == METADATA_FILES[self.kind] or folder not in found:
                found[folder] = name
        return found

    def _splits(self) -> list[str]:
        """The folders of splits, from the root; of nested ones the outer."""
        found: list[str] = []
        for folder, inner, _ in os.walk(self._root) if self._has_more else ():
            inner[:] = [name for name in inner if not name.startswith(".")]
            splits = [name for name in inner if _SPLIT.fullmatch(name)]
            found += [Path(os.path.relpath(os.path.join(folder, name), self._root)).as_posix() for name in splits]
            inner[:] = [name for name in inner if name not in splits]
        return found


def metadata_in(root: Path, names: Sequence[str], is_deep: bool = True) -> Iterator[Path]:
    """The metadata files of these names in a folder and, with `is_deep`, in those below it."""
    if not is_deep:
        yield from (root / name for name in names if (root / name).exists())
    elif root.is_dir():
        yield from (root / each.key for each in walk(str(root), tuple(names).__contains__))


def _read(file: IO[bytes]) -> Iterator[Record]:
    file.seek(0)
    for line in file:
        yield Record.from_dict(json.loads(line))
