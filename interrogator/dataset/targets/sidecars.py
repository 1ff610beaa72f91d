"""A caption file beside each picture, or in a tree of the same shape."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from itertools import islice
from pathlib import Path

from ...errors import RequestError
from ..records import Item, Record
from ..sources.source import stem
from ..sources.walking import reason
from .files import write_many
from .target import LeftOut, Names, inside, is_utf8, one_line

_RESTORED_AT_ONCE = 1024


class SidecarTarget:
    """`a.txt` or `a.caption` for `a.jpg`: UTF-8, one line feed at the end.

    kohya's loader reads the first line and refuses a file without one, so an empty caption is an empty line; ComfyUI
    and taggui strip white space. With `several`, each caption is one line, the best first: what kohya's enable_wildcard
    picks from. `before` is the file's exact text; bytes that are no UTF-8 are lone surrogates.
    """

    def __init__(self, kind: str, names: Names, out: Path | None, several: bool) -> None:
        """out: the root of the tree; None writes beside the pictures."""
        self.kind = kind
        self._extension = f".{kind}"
        self._names = names
        self._out = out
        self._several = several

    def before(self, item: Item) -> str | None:
        path = self._path(item)
        try:
            return None if path is None else path.read_bytes().decode("utf-8", "surrogateescape")
        except FileNotFoundError:
            return None

    def write(self, records: Sequence[Record]) -> list[LeftOut]:
        files: dict[Path, tuple[str, bytes]] = {}
        left: list[LeftOut] = []
        for record in records:
            if record.status != "done":
                continue
            text = self._text(record)
            path = self._path(self._names.item(record))
            if path is None:
                left.append(LeftOut(record.key, "its name leads out of the folder for captions"))
            elif not is_utf8(text):
                left.append(LeftOut(record.key, "its caption is no UTF-8"))
            elif path in files:
                left.append(LeftOut(record.key, f"{files[path][0]} has the same caption file"))
            else:
                files[path] = (record.key, text.encode())
        return left + _write(files)

    def finish(self, records: Iterable[Record]) -> list[LeftOut]:
        return []

    def restore(self, records: Iterable[Record]) -> list[LeftOut]:
        left: list[LeftOut] = []
        rest = iter(records)
        while some := list(islice(rest, _RESTORED_AT_ONCE)):
            left += self._restore(some)
        return left

    def _restore(self, records: Sequence[Record]) -> list[LeftOut]:
        files: dict[Path, tuple[str, bytes]] = {}
        left: list[LeftOut] = []
        for record in records:
            path = self._path(self._names.item(record))
            if record.status != "done" or path is None:
                continue
            try:
                now = self.before(self._names.item(record))
                if now == record.before:
                    continue
                if now != self._text(record):
                    left.append(LeftOut(record.key, f"{path.name} was changed after the run and stays as it is"))
                elif record.before is None:
                    path.unlink()
                else:
                    files[path] = (record.key, record.before.encode("utf-8", "surrogateescape"))
            except OSError as error:
                left.append(LeftOut(record.key, f"{path.name} cannot be put back ({reason(error)})"))
        return left + _write(files)

    def _path(self, item: Item) -> Path | None:
        source = self._names.source(item)
        if self._out is not None:
            return inside(self._out, stem(self._names.label(item)) + self._extension)
        path = source.sidecar(item, self._extension)
        if path is None:
            raise RequestError(f"{source.uri}: there is no place beside its pictures; give a folder for the captions")
        return path

    def _text(self, record: Record) -> str:
        if self._several and record.captions:
            return "".join(one_line(caption) + "\n" for caption in record.captions)
        return record.caption.rstrip("\n") + "\n"


def _write(files: dict[Path, tuple[str, bytes]]) -> list[LeftOut]:
    failed = write_many([(path, data) for path, (_, data) in files.items()])
    return [LeftOut(files[path][0], f"{path.name} cannot be written ({reason(e)})") for path, e in failed.items()]
