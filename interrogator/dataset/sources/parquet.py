"""Parquet files with pictures in them, or with the paths or URLs of pictures."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import suppress
from pathlib import Path
from typing import IO, Any, NamedTuple

from ...errors import ImageReadError, RequestError
from ..records import Item
from .imagefolder import CAPTION_COLUMNS
from .keeping import Kept
from .links import Links
from .source import UniqueKeys, clean_key
from .storage import Storage, missing
from .walking import reason

_PATH_COLUMNS = ("path", "url", "file_name")
_LISTED_AT_ONCE = 4096
_READ_AT_ONCE = 32  # rows with pictures in memory


class _Columns(NamedTuple):
    """Where a table has its pictures. `leaf`: the column, or part of one, that names them; "" if none does."""

    image: str
    leaf: str
    caption: str


class ParquetSource:
    """The rows of one or many parquet files. A place is (row, number of the file).

    Pictures are in a column `image` (bytes, or a struct of bytes and path as Hugging Face writes it; any one column of
    that struct will do), or their paths or URLs in `image`, `path`, `url` or `file_name`, relative to the file. Keys
    are the paths; for pictures in the table `file.parquet/path`, or `file.parquet#row` where the row has no path.
    `Item.caption` is the column `text` or `caption`.
    Raises RequestError: pyarrow is missing, no parquet file, or none of these columns (and which there are).
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
        self._kept: Kept[_Cursor] = Kept()
        if self._files:
            _Table(storage, root, self._files[0]).close()

    def items(self) -> Iterator[Item]:
        keys = UniqueKeys()
        for number, name in enumerate(self._files):
            try:
                table = _Table(self._storage, self._root, name)
            except RequestError as error:
                yield Item(keys.take(name)[0], self.number, trouble=str(error))
                continue
            with table:
                yield from self._items_of(number, table, keys)

    def read(self, items: Sequence[Item]) -> Iterator[tuple[Item, bytes | Exception]]:
        cursor: _Cursor | None = None
        try:
            for item in items:
                if item.trouble or len(item.place) != 2 or not 0 <= item.place[1] < len(self._files):
                    yield item, ImageReadError(item.key, item.trouble or "has no place in a table")
                    continue
                value: bytes | Exception
                try:
                    if cursor is None or cursor.fits(item) is None:
                        if cursor is not None:
                            self._kept.give(cursor)
                        cursor = None
                        cursor = self._cursor(item)
                    value = self._picture(item, cursor.table, cursor.value(item.place[0]))
                except Exception as error:  # noqa: BLE001  arrow and every file system have errors of their own
                    value = ImageReadError(item.key, f"its row cannot be read ({reason(error)})")
                    if cursor is not None:
                        cursor.close()
                        cursor = None
                yield item, value
        finally:
            if cursor is not None:
                self._kept.give(cursor)

    def path(self, item: Item) -> Path | None:
        return None

    def sidecar(self, item: Item, extension: str) -> Path | None:
        return None

    def _cursor(self, item: Item) -> _Cursor:
        row, number = item.place
        kept = self._kept.take(lambda cursor: cursor.fits(item))
        return kept or _Cursor(_Table(self._storage, self._root, self._files[number]), number, row)

    def _items_of(self, number: int, table: _Table, keys: UniqueKeys) -> Iterator[Item]:
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
        self, table: _Table, number: int, row: int, name: str | None, caption: str | None, keys: UniqueKeys
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

    def _picture(self, item: Item, table: _Table, value: Any) -> bytes | ImageReadError:
        if isinstance(value, dict):
            value = value.get("bytes") or value.get("path")
        if not table.columns.image and not (isinstance(value, str) and table.links.key(value) == item.key):
            return ImageReadError(item.key, "the table has changed since it was listed")
        if isinstance(value, bytes) and value:
            return value
        if isinstance(value, str) and value:
            return table.links.read(value, item.key)
        return ImageReadError(item.key, "its cell is empty")


class _Table:
    """One open parquet file."""

    def __init__(self, storage: Storage, root: str, name: str) -> None:
        try:
            import pyarrow.parquet as pq
        except ImportError as error:
            raise missing("pyarrow", name) from error
        path = storage.join(root, name)
        self.name = name
        self.links = Links(storage, storage.split(path)[0])
        self._file: IO[bytes] | None = None
        try:
            self._file = storage.open(path)
            # Without pre_buffer and with a buffer, pages are read as they are needed and not a whole row group at once.
            self._table = pq.ParquetFile(self._file, pre_buffer=False, buffer_size=1 << 20)
            schema = self._table.schema_arrow
            metadata = self._table.metadata
            self.counts = [metadata.row_group(group).num_rows for group in range(metadata.num_row_groups)]
        except Exception as error:
            self.close()
            raise RequestError(f"{storage.uri(path)}: is no parquet file that can be read ({reason(error)})") from error
        try:
            self.columns = _columns(schema, storage.uri(path))
        except RequestError:
            self.close()
            raise

    def __enter__(self) -> _Table:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def close(self) -> None:
        if self._file is not None:
            with suppress(OSError):
                self._file.close()

    def names_and_captions(self, group: int) -> Iterator[tuple[str | None, str | None]]:
        """Of each row of a row group; the pictures are not read."""
        leaf, caption = self.columns.leaf, self.columns.caption
        wanted = [column for column in (leaf, caption) if column]
        if not wanted:
            yield from ((None, None) for _ in range(self.counts[group]))
            return
        for batch in self._table.iter_batches(_LISTED_AT_ONCE, row_groups=[group], columns=wanted):
            for row in batch.to_pylist():
                name = row.get(leaf.partition(".")[0]) if leaf else None
                text = row.get(caption) if caption else None
                yield (name or {}).get("path") if leaf.endswith(".path") else name, text.strip() if text else None

    def pictures(self, group: int) -> Iterator[Any]:
        """The cells of a row group's picture or path column, a few in memory at a time."""
        column = self.columns.image or self.columns.leaf
        for batch in self._table.iter_batches(_READ_AT_ONCE, row_groups=[group], columns=[column]):
            yield from batch.column(0)


class _Cursor:
    """A place in a row group, from which later rows can be read."""

    def __init__(self, table: _Table, number: int, row: int) -> None:
        self.table = table
        self.number = number
        self._next = 0  # the row that `_cells` gives next
        for group, count in enumerate(table.counts):
            if row < self._next + count:
                self._cells = table.pictures(group)
                self._end = self._next + count
                return
            self._next += count
        table.close()
        raise RequestError(f"the table has only {self._next} rows")

    def fits(self, item: Item) -> int | None:
        """The row it has come to; None if the item cannot be reached from there."""
        row, number = item.place
        return self._next if number == self.number and self._next <= row < self._end else None

    def value(self, row: int) -> Any:
        cell = None
        while self._next <= row:
            cell = next(self._cells)
            self._next += 1
        return None if cell is None else cell.as_py()

    def close(self) -> None:
        self.table.close()


def _columns(schema: Any, name: str) -> _Columns:
    """Which columns to read. Raises RequestError that lists those there are."""
    types = {field.name: field.type for field in schema}
    captions = [column for column in CAPTION_COLUMNS if column in types and _is_text(types[column])]
    caption = captions[0] if captions else ""
    structs = [column for column, kind in types.items() if _is_picture_struct(kind)]
    if "image" in structs or len(structs) == 1 and "image" not in types:
        image = "image" if "image" in structs else structs[0]
        names = {part.name: part.type for part in types[image]}
        return _Columns(image, f"{image}.path" if "path" in names and _is_text(names["path"]) else "", caption)
    if "image" in types and _is_binary(types["image"]):
        leaf = next((column for column in _PATH_COLUMNS if column in types and _is_text(types[column])), "")
        return _Columns("image", leaf, caption)
    for column in ("image", *_PATH_COLUMNS):
        if column in types and _is_text(types[column]):
            return _Columns("", column, caption)
    there = ", ".join(f"{column} ({kind})" for column, kind in types.items()) or "none"
    raise RequestError(
        f"{name}: has no pictures that can be read: neither image (bytes, or a struct of bytes and path), nor path, "
        f"url or file_name (text); its columns: {there}"
    )


def _is_text(kind: Any) -> bool:
    import pyarrow as pa

    kind = kind.value_type if pa.types.is_dictionary(kind) else kind
    return bool(pa.types.is_string(kind) or pa.types.is_large_string(kind) or pa.types.is_string_view(kind))


def _is_binary(kind: Any) -> bool:
    import pyarrow as pa

    return bool(pa.types.is_binary(kind) or pa.types.is_large_binary(kind) or pa.types.is_binary_view(kind))


def _is_picture_struct(kind: Any) -> bool:
    import pyarrow as pa

    return bool(pa.types.is_struct(kind)) and any(part.name == "bytes" and _is_binary(part.type) for part in kind)
