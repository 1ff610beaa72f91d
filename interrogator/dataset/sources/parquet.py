"""Parquet files with pictures in them, or with the paths or URLs of pictures."""

from __future__ import annotations

from collections.abc import Collection, Iterator, Sequence
from contextlib import suppress
from pathlib import Path
from typing import Any

from ...errors import ImageReadError, RequestError, RunStopped
from ..records import Item
from .captions import CAPTION_COLUMNS
from .io.errors import read_errors, reason
from .io.folder_walk import Notice, ignore
from .io.parquet_table import Cells, Table, check_pyarrow
from .io.storage import Storage
from .source import UniqueKeys, changed_error, clean_key, container_version, is_replaced, member_version


class ParquetSource:
    """The rows of one or many parquet files. A position is (row, number of the file).

    Pictures are in a column `image` (bytes, or a struct of bytes and path as Hugging Face writes it; any one column of
    that struct will do), or of bytes under the name of a format (`jpg`, `png` …, as img2dataset writes it, which calls
    them by its column `key`), or their paths or URLs in `image`, `path`, `url` or `file_name`, relative to the file.
    Keys are the paths; for pictures in the table `file.parquet/path`, or `file.parquet#row` where the row has no path.
    `Item.caption` is the column `text`, `caption` or `prompt`, of texts or of lists of them. A file that is no parquet
    file, or has no pictures, is an item with a problem, which says what columns there are.
    Raises RequestError: pyarrow is missing.
    """

    kind = "parquet"

    def __init__(
        self, storage: Storage, root: str, files: Sequence[str], uri: str, number: int,
        columns: Sequence[str] = CAPTION_COLUMNS,
    ) -> None:  # fmt: skip
        """files: names of the parquet files under the folder `root`. columns: where captions are."""
        self.uri = uri
        self.number = number
        self.folder: Path | None = storage.local(root)
        self._storage = storage
        self._root = root
        self._files = list(files)
        self._columns = columns
        self._numbers = {name: number for number, name in enumerate(self._files)}
        self.notice: Notice = ignore
        self._rows: dict[str, tuple[int, ...]] | None = None  # by key, of a table that names its pictures
        self._cells = Cells(storage, root, self._files)
        check_pyarrow(uri)

    @property
    def containers(self) -> Collection[str]:
        return self._numbers.keys()

    def container(self, item: Item) -> str:
        key = item.key
        ends = (end for end, letter in enumerate(key) if letter in "/#" and key[:end] in self._numbers)
        end = next(ends, None)
        return "" if end is None else key[:end]

    def version(self, container: str) -> str:
        return self._storage.version(self._storage.join(self._root, container))

    def items(self) -> Iterator[Item]:
        keys = UniqueKeys()
        for number, name in enumerate(self._files):
            version = self.version(name)  # before it is read, so that what is written meanwhile has another
            try:
                table = Table(self._storage, self._root, name, self._columns)
            except RequestError as error:
                yield Item(keys.take(name)[0], self.number, problem=str(error))
                continue
            with table:
                yield from self._items_of(number, version, table, keys)

    def read(self, items: Sequence[Item]) -> Iterator[tuple[Item, bytes | Exception]]:
        for item in items:
            if item.problem or len(item.position) != 2:
                yield item, ImageReadError(item.key, item.problem or "is in no table that was listed")
                continue
            value: bytes | Exception
            try:
                value = self._member(item) if self.container(item) else self._named(item)
            except RunStopped as stopped:
                value = stopped
            except read_errors(RequestError) as error:
                value = ImageReadError(item.key, f"its row cannot be read ({reason(error)})")
            yield item, value

    def path(self, item: Item) -> Path | None:
        """The file that a table names; None where it is not in the folder of the tables."""
        if self.folder is None or self.container(item):
            return None
        path = self.folder.joinpath(*item.key.split("/"))
        return path if path.exists() else None

    def sidecar(self, item: Item, extension: str) -> Path | None:
        return None

    def _member(self, item: Item) -> bytes | Exception:
        """A picture that is in a table. Raises RunStopped where the table is another one by now."""
        name, version = self.container(item), container_version(item)
        self._check(item, name, self.version(name) if self.folder else version)
        table, cell = self._cells.cell(item.position[0], self._numbers[name], version)
        value = self._picture(item, table, cell.as_py())
        self._check(item, name, table.version)
        self._check(item, name, self.version(name) if self.folder else version)  # it may have been replaced meanwhile
        return value

    def _check(self, item: Item, name: str, version: str) -> None:
        if is_replaced(version, item):
            raise changed_error(self.uri, name)

    def _named(self, item: Item) -> bytes | Exception:
        """A picture that a table names; its row is looked for where the table was written again since."""
        row, number = item.position
        if number < len(self._files):
            with suppress(RequestError):  # the table is shorter now
                table, cell = self._cells.cell(row, number, self.version(self._files[number]))
                if not _differs(item, table, cell.as_py()):
                    return self._picture(item, table, cell.as_py())
        if self._rows is None:
            self._rows = {each.key: each.position for each in self.items() if each.position}
        if item.key not in self._rows:
            return ImageReadError(item.key, "is no longer in the table")
        row, number = self._rows[item.key]
        table, cell = self._cells.cell(row, number, self.version(self._files[number]))
        if _differs(item, table, cell.as_py()):
            raise changed_error(self.uri, table.name)
        return self._picture(item, table, cell.as_py())

    def _items_of(self, number: int, version: str, table: Table, keys: UniqueKeys) -> Iterator[Item]:
        row = 0
        for group, count in enumerate(table.counts):
            first = row
            try:
                for name, captions in table.names_and_captions(group):
                    yield self._item(table, version, (row, number), name, captions, keys)
                    row += 1
            except read_errors() as error:
                if row < first + count:
                    key = keys.take(f"{table.name}#{row}")[0]
                    problem = f"rows {row} to {first + count - 1} cannot be read ({reason(error)})"
                    yield Item(key, self.number, problem=problem)
            row = first + count

    def _item(
        self, table: Table, version: str, position: tuple[int, int], name: str | None, captions: tuple[str, ...],
        keys: UniqueKeys,
    ) -> Item:  # fmt: skip
        row, caption = position[0], captions[0] if captions else None
        captions = captions if len(captions) > 1 else ()
        if table.columns.image:
            key = keys.take(f"{table.name}/{clean_key(name)}" if name else f"{table.name}#{row}")[0]
            return Item(key, self.number, position, 0, caption, "", member_version(version, row), captions)
        if not name:
            key = keys.take(f"{table.name}#{row}")[0]
            return Item(key, self.number, position, 0, caption, f"its {table.columns.leaf} is empty", "", captions)
        key, again = keys.take(table.links.key(name))
        size, problem, version = table.links.inspect(name)
        problem = "is in the table more than once" if again else problem
        return Item(key, self.number, position, size, caption, problem, version, captions)

    def _picture(self, item: Item, table: Table, value: Any) -> bytes | ImageReadError:
        if isinstance(value, dict):
            value = value.get("bytes") or value.get("path")
        if isinstance(value, bytes) and value:
            return value
        if isinstance(value, str) and value:
            return table.links.read(value, item.key)
        return ImageReadError(item.key, "its cell is empty")


def _differs(item: Item, table: Table, value: Any) -> bool:
    """Whether a cell names another picture than the item's."""
    return bool(table.columns.image) or not isinstance(value, str) or table.links.key(value) != item.key
