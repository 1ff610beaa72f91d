"""Parquet files with pictures in them, or with the paths or URLs of pictures."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

from ...errors import ImageReadError, RequestError
from ..records import Item
from .io.folder_walk import reason
from .io.parquet_table import Cells, Table, check_pyarrow
from .io.storage import Storage
from .source import UniqueKeys, clean_key


class ParquetSource:
    """The rows of one or many parquet files. A place is (row, number of the file).

    Pictures are in a column `image` (bytes, or a struct of bytes and path as Hugging Face writes it; any one column of
    that struct will do), or their paths or URLs in `image`, `path`, `url` or `file_name`, relative to the file. Keys
    are the paths; for pictures in the table `file.parquet/path`, or `file.parquet#row` where the row has no path.
    `Item.caption` is the column `text` or `caption`. A file that is no parquet file, or has none of these columns, is
    an item with trouble, which says what columns there are.
    Raises RequestError: pyarrow is missing.
    """

    kind = "parquet"

    def __init__(self, storage: Storage, root: str, files: Sequence[str], uri: str, number: int) -> None:
        """files: names of the parquet files under the folder `root`."""
        self.uri = uri
        self.number = number
        self.folder: Path | None = storage.local(root)
        self._storage = storage
        self._root = root
        self._files = list(files)
        self._cells = Cells(storage, root, self._files)
        check_pyarrow(uri)

    def items(self) -> Iterator[Item]:
        keys = UniqueKeys()
        for number, name in enumerate(self._files):
            try:
                table = Table(self._storage, self._root, name)
            except RequestError as error:
                yield Item(keys.take(name)[0], self.number, trouble=str(error))
                continue
            with table:
                yield from self._items_of(number, table, keys)

    def read(self, items: Sequence[Item]) -> Iterator[tuple[Item, bytes | Exception]]:
        for item in items:
            if item.trouble or len(item.place) != 2 or not 0 <= item.place[1] < len(self._files):
                yield item, ImageReadError(item.key, item.trouble or "has no place in a table")
                continue
            value: bytes | Exception
            try:
                table, cell = self._cells.cell(*item.place)
                value = self._picture(item, table, cell.as_py())
            except Exception as error:  # noqa: BLE001  arrow and every file system have errors of their own
                value = ImageReadError(item.key, f"its row cannot be read ({reason(error)})")
            yield item, value

    def path(self, item: Item) -> Path | None:
        return None

    def sidecar(self, item: Item, extension: str) -> Path | None:
        return None

    def _items_of(self, number: int, table: Table, keys: UniqueKeys) -> Iterator[Item]:
        row = 0
        for group, count in enumerate(table.counts):
            first = row
            try:
                for name, caption in table.names_and_captions(group):
                    yield self._item(table, number, row, name, caption, keys)
                    row += 1
            except Exception as error:  # noqa: BLE001  arrow and every file system have errors of their own
                if row < first + count:
                    key = keys.take(f"{table.name}#{row}")[0]
                    trouble = f"rows {row} to {first + count - 1} cannot be read ({reason(error)})"
                    yield Item(key, self.number, trouble=trouble)
            row = first + count

    def _item(
        self, table: Table, number: int, row: int, name: str | None, caption: str | None, keys: UniqueKeys
    ) -> Item:
        place = (row, number)
        if table.columns.image:
            key = keys.take(f"{table.name}/{clean_key(name)}" if name else f"{table.name}#{row}")[0]
            return Item(key, self.number, place, caption=caption)
        if not name:
            key = keys.take(f"{table.name}#{row}")[0]
            return Item(key, self.number, place, caption=caption, trouble=f"its {table.columns.leaf} is empty")
        key, again = keys.take(table.links.key(name))
        size, trouble = table.links.trouble(name)
        trouble = "is in the table more than once" if again else trouble
        return Item(key, self.number, place, size, caption, trouble)

    def _picture(self, item: Item, table: Table, value: Any) -> bytes | ImageReadError:
        if isinstance(value, dict):
            value = value.get("bytes") or value.get("path")
        if not table.columns.image and not (isinstance(value, str) and table.links.key(value) == item.key):
            return ImageReadError(item.key, "the table has changed since it was listed")
        if isinstance(value, bytes) and value:
            return value
        if isinstance(value, str) and value:
            return table.links.read(value, item.key)
        return ImageReadError(item.key, "its cell is empty")
