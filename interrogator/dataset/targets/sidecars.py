"""A caption file beside each picture, or in a tree of the same shape."""

from __future__ import annotations

import os
from collections.abc import Iterable, Sequence
from itertools import islice
from pathlib import Path

from ...files import write_many
from ..records import Item, Record
from ..sources.io.errors import reason
from ..sources.source import stem
from .link_check import LinkCheck
from .target import Names, Rejected, inside, is_utf8, item_of, one_line, reject

SIDECAR_ENDINGS = (".txt", ".caption")
"""Of caption files beside pictures; of two, the first counts."""
_RESTORED_AT_ONCE = 1024


class SidecarTarget:
    """`a.txt` or `a.caption` for `a.jpg`: UTF-8, one line feed at the end unless `final_newline` is off.

    kohya's loader reads the first line and refuses a file without one, so an empty caption is an empty line; ComfyUI
    and taggui strip white space. With `several`, each caption is one line, the best first: what kohya's enable_wildcard
    picks from. `existing` is the file's exact text; bytes that are no UTF-8 are lone surrogates.
    """

    def __init__(self, kind: str, names: Names, out: Path | None, several: bool, final_newline: bool = True) -> None:
        """out: the root of the tree; None writes beside the pictures."""
        self.kind = kind
        self._extension = f".{kind}"
        self._names = names
        self._out = out
        self._several = several
        self._end = "\n" if final_newline else ""
        self._links = LinkCheck()
        self._last: tuple[Item, Path | None] | None = None

    @property
    def is_beside(self) -> bool:
        """Whether captions go beside the pictures."""
        return self._out is None

    def files(self) -> list[Path]:
        return []

    def existing(self, item: Item) -> str | None:
        path = self._path(item)
        return None if path is None else read_sidecar(path)  # where it cannot be, `write` looks again and rejects it

    def captions(self, item: Item) -> tuple[str, ...]:
        return ()

    def refusal(self, item: Item) -> str:
        path = self._path(item)
        return "" if path is None else self._links.problem(path, self._root(item.source))

    def write(self, records: Sequence[Record]) -> list[Rejected]:
        files: dict[Path, tuple[Record, bytes]] = {}
        rejected: list[Rejected] = []
        for record in records:
            if not record.is_for_target:
                continue
            text = self._text(record)
            path = self._path(item_of(record))
            if path is not None and record.status == "kept" and os.path.lexists(path):
                continue  # somebody has written one meanwhile
            if path is None:
                rejected.append(reject(record, "its name cannot be that of a caption file"))
            elif problem := self._links.problem(path, self._root(record.source)):
                rejected.append(reject(record, problem))
            elif os.path.exists(path) and not os.access(path, os.R_OK):
                rejected.append(reject(record, f"{path.name} exists and cannot be read, so it is not replaced"))
            elif not is_utf8(text):
                rejected.append(reject(record, "its caption is not UTF-8"))
            elif path in files:
                rejected.append(reject(record, f"{files[path][0].key} has the same caption file"))
            else:
                files[path] = (record, text.encode())
        return rejected + _write(files)

    def finish(self, records: Iterable[Record]) -> list[Rejected]:
        return []

    def restore(self, records: Iterable[Record]) -> list[Rejected]:
        rejected: list[Rejected] = []
        rest = iter(records)
        while some := list(islice(rest, _RESTORED_AT_ONCE)):
            rejected += self._restore(some)
        return rejected

    def _restore(self, records: Sequence[Record]) -> list[Rejected]:
        files: dict[Path, tuple[Record, bytes]] = {}
        rejected: list[Rejected] = []
        for record in records:
            path = self._path(item_of(record))
            if not record.is_for_target or path is None:
                continue
            try:
                now = _read(path)
                if now == record.existing:
                    continue
                if now != self._text(record):
                    rejected.append(reject(record, f"{path.name} was changed after the run, so it stays as it is"))
                elif record.existing is None:
                    path.unlink()
                else:
                    files[path] = (record, record.existing.encode("utf-8", "surrogateescape"))
            except OSError as error:
                rejected.append(reject(record, f"{path.name} cannot be put back ({reason(error)})"))
        return rejected + _write(files)

    def _root(self, source: int) -> Path | None:
        """The folder that captions may not leave by a link; None where a list names the pictures, wherever they are."""
        if self._out is not None:
            return self._out
        found = self._names.sources[source]
        return found.folder if found.kind in ("folder", "imagefolder") else None

    def _path(self, item: Item) -> Path | None:
        last = self._last
        if last is None or last[0] is not item:  # asked for several times in a row
            if self._out is not None:
                path = inside(self._out, stem(self._names.label(item)) + self._extension)
            else:
                path = self._names.source(item).sidecar(item, self._extension)
            last = self._last = (item, path)
        return last[1]

    def _text(self, record: Record) -> str:
        if self._several and record.captions:
            text = "\n".join(map(one_line, record.captions))
        else:
            text = record.caption.rstrip("\n")
        return text + (self._end or ("" if text else "\n"))


def read_sidecar(path: Path) -> str | None:
    """A file's exact text, bytes that are no UTF-8 as lone surrogates; None if it cannot be read."""
    try:
        return _read(path)
    except OSError:
        return None


def _read(path: Path) -> str | None:
    try:
        with open(path, "rb") as file:
            return file.read().decode("utf-8", "surrogateescape")
    except FileNotFoundError:
        return None


def _write(files: dict[Path, tuple[Record, bytes]]) -> list[Rejected]:
    failed = write_many([(path, data) for path, (_, data) in files.items()])
    return [reject(files[path][0], f"{path.name} cannot be written ({reason(e)})") for path, e in failed.items()]
