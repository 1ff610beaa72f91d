"""A text file with one path or URL per line."""

from __future__ import annotations

import csv
import io
import itertools
from collections.abc import Iterator, Sequence
from pathlib import Path

from ...csv_fields import csv_reader
from ...errors import ImageReadError, RequestError
from ..records import Item
from .io.errors import read_errors, reason
from .io.folder_walk import Notice, ignore
from .io.storage import Storage
from .links import Links
from .source import UniqueKeys, stem

LIST_EXTENSIONS = (".txt", ".list", ".csv")
_HEADINGS = frozenset(
    {"file", "file_name", "filename", "filepath", "file_path", "image", "image_path", "key", "path", "url"}
)


class ListSource:
    """The pictures that a list names, in its order; of a csv file the first column. A position is (row,).

    Paths are relative to the list file; bytes that are no UTF-8 stay as they are. Empty lines are passed over. A file
    that is missing, or named a second time, is an item with a problem.
    Raises RequestError if the list cannot be read.
    """

    kind = "list"

    def __init__(self, storage: Storage, path: str, number: int) -> None:
        self.uri = storage.uri(path)
        self.number = number
        folder, _ = storage.split(path)
        self.folder: Path | None = storage.local(folder)
        self.notice: Notice = ignore
        self._links = Links(storage, folder)
        self._names = _names(storage, path, self.uri)
        self._by_key: dict[str, str] | None = None

    def items(self) -> Iterator[Item]:
        keys = UniqueKeys()
        for row, name in enumerate(self._names):
            if not name:
                continue
            size, problem, version = self._links.inspect(name)
            key, again = keys.take(self._links.key(name))
            problem = "is listed more than once" if again else problem
            yield Item(key, self.number, (row,), size, None, problem, version)

    def read(self, items: Sequence[Item]) -> Iterator[tuple[Item, bytes | Exception]]:
        for item in items:
            name = self._name(item)
            if item.problem or not name:
                yield item, ImageReadError(item.key, item.problem or "the list has changed since it was read")
            else:
                yield item, self._links.read(name, item.key)

    containers: tuple[str, ...] = ()

    def container(self, item: Item) -> str:
        return ""

    def version(self, container: str) -> str:
        return ""

    def path(self, item: Item) -> Path | None:
        name = self._name(item)
        return self._links.local(name) if name else None

    def sidecar(self, item: Item, extension: str) -> Path | None:
        path = self.path(item)
        return None if path is None else path.with_name(stem(path.name) + extension)

    def _name(self, item: Item) -> str:
        """What the list calls the item; "" if the list has changed since."""
        if self._by_key is None:
            self._by_key = {self._links.key(name): name for name in reversed(self._names) if name}
        return self._by_key.get(item.key, "")


def _names(storage: Storage, path: str, uri: str) -> list[str]:
    try:
        with storage.open(path) as file:
            text = file.read().decode("utf-8", "surrogateescape").removeprefix("\ufeff")
    except read_errors() as error:
        raise RequestError(f"{uri}: cannot be read ({reason(error)})") from error
    if not uri.lower().endswith(".csv"):
        return [line.removesuffix("\r") for line in text.split("\n")]
    try:
        names = [row[0] if row else "" for row in csv_reader(io.StringIO(text, newline=""))]
    except csv.Error as error:
        raise RequestError(f"{uri}: is not readable as CSV ({error})") from error
    has_heading = bool(names) and names[0].strip().lower() in _HEADINGS
    return list(itertools.chain([""], names[1:])) if has_heading else names
