"""An open parquet file that holds pictures or their names, and its cells one row group at a time."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import suppress
from threading import Lock
from typing import IO, Any, NamedTuple

from ....errors import RequestError
from ..captions import CAPTION_COLUMNS, row_captions
from ..links import Links
from ..source import is_picture
from .errors import missing_package, read_errors, reason
from .storage import Storage

_PATH_COLUMNS = ("path", "url", "file_name")
_LISTED_AT_ONCE = 4096
_READ_AT_ONCE = 32  # rows with pictures in memory
_PASSED = 256  # rows that a thread went past and another may want
_LARGE_GROUP = 256 << 20


class Columns(NamedTuple):
    """Where a table has its pictures. `leaf`: the column, or part of one, that names them; "" if none does; `ending`:
    of the pictures, where their names have none.

    captions: the columns for captions, the first of which that has a text counts.
    """

    image: str
    leaf: str
    captions: tuple[str, ...]
    ending: str = ""


def check_pyarrow(uri: str) -> None:
    """Raises RequestError: a parquet file cannot be read, for pyarrow is missing."""
    try:
        import pyarrow.parquet  # noqa: F401
    except ImportError as error:
        raise missing_package("pyarrow", uri) from error


class Table:
    """One open parquet file.

    captions: the columns that captions are looked for in.
    Raises RequestError: pyarrow is missing, no parquet file, or it has no pictures.
    """

    def __init__(self, storage: Storage, root: str, name: str, captions: Sequence[str] = CAPTION_COLUMNS) -> None:
        check_pyarrow(name)
        import pyarrow.parquet as pq

        path = storage.join(root, name)
        self.name = name
        self.version = storage.version(path)  # before it is opened, so that what is written meanwhile has another
        self.links = Links(storage, storage.split(path)[0])
        self._file: IO[bytes] | None = None
        try:
            self._file = storage.open(path)
            metadata = pq.read_metadata(self._file)
            groups = [metadata.row_group(group) for group in range(metadata.num_row_groups)]
            self.counts = [group.num_rows for group in groups]
            # A buffer takes twice the memory of a page, but then a row group of many pages is not read at once.
            buffer_size = 1 << 20 if any(group.total_byte_size > _LARGE_GROUP for group in groups) else 0
            self._table = pq.ParquetFile(self._file, metadata=metadata, pre_buffer=False, buffer_size=buffer_size)
            schema = self._table.schema_arrow
        except read_errors() as error:
            self.close()
            raise RequestError(f"{storage.uri(path)}: is not a readable parquet file ({reason(error)})") from error
        try:
            self.columns = _columns(schema, storage.uri(path), captions)
        except RequestError:
            self.close()
            raise

    def __enter__(self) -> Table:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def close(self) -> None:
        if self._file is not None:
            with suppress(OSError):
                self._file.close()

    def names_and_captions(self, group: int) -> Iterator[tuple[str | None, tuple[str, ...]]]:
        """Of each row of a row group; the pictures are not read."""
        leaf, captions = self.columns.leaf, self.columns.captions
        wanted = [column for column in (leaf, *captions) if column]
        if not wanted:
            yield from ((None, ()) for _ in range(self.counts[group]))
            return
        for batch in self._table.iter_batches(_LISTED_AT_ONCE, row_groups=[group], columns=wanted):
            for row in batch.to_pylist():
                name = row.get(leaf.partition(".")[0]) if leaf else None
                name = (name or {}).get("path") if leaf.endswith(".path") else name
                yield name + self.columns.ending if name else name, row_captions(row, captions)

    def pictures(self, group: int) -> Iterator[Any]:
        """The cells of a row group's picture or path column, a few in memory at a time."""
        column = self.columns.image or self.columns.leaf
        for batch in self._table.iter_batches(_READ_AT_ONCE, row_groups=[group], columns=[column]):
            yield from batch.column(0)


class Cells:
    """Cells by row, from one row group at a time; for threads that ask for them almost in order.

    A group is decoded from its beginning, so rows that are passed on the way to another are kept for a while. A pickled
    copy has read nothing.
    """

    def __init__(self, storage: Storage, root: str, files: Sequence[str]) -> None:
        self._opening = (storage, root, files)
        self._lock = Lock()
        self._cursor: _Cursor | None = None
        self._passed: dict[tuple[int, int, str], tuple[Table, Any]] = {}

    def __reduce__(self) -> tuple[type[Cells], tuple[Storage, str, Sequence[str]]]:
        return Cells, self._opening

    def cell(self, row: int, number: int, version: str) -> tuple[Table, Any]:
        """The cell of a row of a file, and the file; opened anew if what is open is of another version.

        Raises whatever arrow and the storage do.
        """
        with self._lock:
            if (row, number, version) in self._passed:
                return self._passed.pop((row, number, version))
            cursor = self._at(row, number, version)
            try:
                while cursor.next_row < row:
                    self._pass(cursor)
                return cursor.table, next(cursor)
            except BaseException:
                self._cursor = None  # it cannot go on
                cursor.table.close()
                raise

    def _at(self, row: int, number: int, version: str) -> _Cursor:
        """The cursor, at the row or before it in its group."""
        cursor = self._cursor
        if cursor is not None and cursor.number == number and cursor.next_row <= row < cursor.end:
            if version in (cursor.table.version, ""):
                return cursor
        self._cursor = None
        if cursor is not None:
            if cursor.end - cursor.next_row <= _PASSED:  # another thread is about to ask for them
                with suppress(*read_errors()):  # who asks for one that cannot be read is told then
                    while cursor.next_row < cursor.end:
                        self._pass(cursor)
            cursor.table.close()
        storage, root, files = self._opening
        self._cursor = _Cursor(Table(storage, root, files[number]), number, row)
        return self._cursor

    def _pass(self, cursor: _Cursor) -> None:
        row = cursor.next_row
        self._passed[row, cursor.number, cursor.table.version] = cursor.table, next(cursor)
        if len(self._passed) > _PASSED:
            del self._passed[next(iter(self._passed))]


class _Cursor:
    """The cells of the row group that a row is in, from its first row on. Raises RequestError for a row too far."""

    def __init__(self, table: Table, number: int, row: int) -> None:
        self.table = table
        self.number = number
        self.next_row = self.end = 0
        for group, count in enumerate(table.counts):
            self.next_row, self.end = self.end, self.end + count
            if row < self.end:
                self._cells = table.pictures(group)
                return
        table.close()
        raise RequestError(f"the table has only {self.end} rows")

    def __next__(self) -> Any:
        cell = next(self._cells, None)
        if cell is None:
            raise EOFError("its row group ends early")
        self.next_row += 1
        return cell


def _columns(schema: Any, name: str, wanted: Sequence[str]) -> Columns:
    """Which columns to read. Raises RequestError that lists those there are."""
    types = {field.name: field.type for field in schema}
    captions = tuple(column for column in wanted if column in types and _is_text_or_list(types[column]))
    structs = [column for column, kind in types.items() if _is_picture_struct(kind)]
    if "image" in structs or len(structs) == 1 and "image" not in types:
        image = "image" if "image" in structs else structs[0]
        names = {part.name: part.type for part in types[image]}
        return Columns(image, f"{image}.path" if "path" in names and _is_text(names["path"]) else "", captions)
    if "image" in types and _is_binary(types["image"]):
        leaf = next((column for column in _PATH_COLUMNS if column in types and _is_text(types[column])), "")
        return Columns("image", leaf, captions)
    pictures = next((column for column in types if is_picture(f"a.{column}") and _is_binary(types[column])), "")
    if pictures:
        is_named = "key" in types and _is_text(types["key"])
        return Columns(pictures, "key" if is_named else "", captions, f".{pictures}" if is_named else "")
    for column in ("image", *_PATH_COLUMNS):
        if column in types and _is_text(types[column]):
            return Columns("", column, captions)
    there = ", ".join(f"{column} ({kind})" for column, kind in types.items()) or "none"
    raise RequestError(
        f"{name}: has no pictures that can be read: neither image (bytes, or a struct of bytes and path), nor a column "
        f"of bytes such as jpg, nor path, url or file_name (text); its columns: {there}"
    )


def _is_text(kind: Any) -> bool:
    import pyarrow as pa

    kind = kind.value_type if pa.types.is_dictionary(kind) else kind
    return bool(pa.types.is_string(kind) or pa.types.is_large_string(kind) or pa.types.is_string_view(kind))


def _is_text_or_list(kind: Any) -> bool:
    import pyarrow as pa

    is_list = pa.types.is_list(kind) or pa.types.is_large_list(kind) or pa.types.is_fixed_size_list(kind)
    return _is_text(kind.value_type if is_list else kind)


def _is_binary(kind: Any) -> bool:
    import pyarrow as pa

    return bool(pa.types.is_binary(kind) or pa.types.is_large_binary(kind) or pa.types.is_binary_view(kind))


def _is_picture_struct(kind: Any) -> bool:
    import pyarrow as pa

    return bool(pa.types.is_struct(kind)) and any(part.name == "bytes" and _is_binary(part.type) for part in kind)
