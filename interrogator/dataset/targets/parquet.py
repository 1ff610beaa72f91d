"""One parquet file with a row for each picture: caption, tags, scores, sizes, and what failed."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence, Set
from contextlib import suppress
from itertools import chain
from pathlib import Path
from typing import Any

from ...errors import RequestError
from ...files import whole_file
from ..records import Item, Record
from ..sources.io.errors import missing_package, read_errors, reason
from .target import Names, Rejected, WrittenAtEnd, is_utf8, item_of, reject

_ROWS = 10_000  # in memory, and in a row group
_SCORES = ("clip", "itm", "log_probability", "evidence")
_BEFORE_CAPTION = ("key", "path", "sha256", "width", "height", "status", "reason")
_BEHIND_CAPTION = ("captions", *_SCORES, "flags", "tokens", "dhash", "existing", "tags", "unsupported", "texts")
COLUMNS = (*_BEFORE_CAPTION, *_BEHIND_CAPTION)
# What the first release called columns; it had none of the later ones.
_FIRST_NAMES = {"looks": "dhash", "before": "existing"}
_LATER = frozenset({"tags", "evidence", "unsupported", "texts"})

Row = dict[str, Any]


class ParquetTarget(WrittenAtEnd):
    """Written anew from what it was and the run's records; rows of other pictures are kept.

    key: the picture's path, or key, from the file's folder; path: its whole path on this machine, null if it has none.
    A picture that failed has a row without a caption, unless an older run gave it one.
    Raises RequestError: pyarrow is missing, or the existing file is not one of ours with this caption column.
    """

    kind = "parquet"

    def __init__(self, path: Path, names: Names, column: str) -> None:
        try:
            import pyarrow  # noqa: F401  asked for now, not when the run is over
        except ImportError as error:
            raise missing_package("pyarrow", str(path)) from error
        self._file = path
        self._names = names
        self._column = column
        self._captions: dict[str, tuple[str | None, tuple[str, ...]]] | None = None
        self._check_old()

    def files(self) -> list[Path]:
        return [self._file]

    def existing(self, item: Item) -> str | None:
        return self._cells(item)[0]

    def captions(self, item: Item) -> tuple[str, ...]:
        return self._cells(item)[1]

    def _cells(self, item: Item) -> tuple[str | None, tuple[str, ...]]:
        """The caption of an item, and all of them where there are several."""
        if self._captions is None:
            self._captions = {}
            for row in self._old_rows(["key", self._column, "captions"]):
                captions = tuple(row["captions"] or ())
                self._captions[row["key"]] = row[self._column], captions if len(captions) > 1 else ()
        return self._captions.get(self._names.of(item)[0], (None, ()))

    def finish(self, records: Iterable[Record]) -> list[Rejected]:
        rejected: list[Rejected] = []
        used: set[str] = set()
        edits: dict[str, Row] = {}
        self._rewrite(self._rows_of(records, used, rejected, edits), used, edits)
        return rejected

    def restore(self, records: Iterable[Record]) -> list[Rejected]:
        rejected: list[Rejected] = []
        self._captions = None
        put_back: dict[str, str | None] = {}
        for record in records:
            item = item_of(record)
            now = self.existing(item)
            if not record.is_for_target or now == record.existing:
                continue
            if now == record.caption:
                put_back[self._names.of(item)[0]] = record.existing
            else:
                rejected.append(reject(record, "its caption was changed after the run, so it stays as it is"))
        if put_back:
            rows = (
                {**row, self._column: caption, "captions": [caption], "status": "kept", "existing": None}
                for row in self._old_rows()
                if (caption := put_back.get(row["key"])) is not None
            )
            self._rewrite(rows, put_back.keys())
        return rejected

    def _rewrite(self, rows: Iterable[Row], used: Set[str], edits: Mapping[str, Row] | None = None) -> None:
        """Write `rows`, then the existing rows whose keys are not `used` by then, with the cells of `edits` in them."""
        import pyarrow as pa
        import pyarrow.parquet as pq

        schema = self._schema()
        edits = {} if edits is None else edits
        others = ({**row, **edits.get(row["key"], {})} for row in self._old_rows() if row["key"] not in used)
        first = next(rows := chain(rows, others), None)
        if first is None:  # nothing is left of what the runs wrote
            self._file.unlink(missing_ok=True)
            self._captions = None
            return
        self._file.parent.mkdir(parents=True, exist_ok=True)
        with whole_file(self._file) as file, pq.ParquetWriter(file, schema) as writer:
            for batch in _batches(chain([first], rows)):
                writer.write_table(pa.Table.from_pylist(batch, schema=schema))
        self._captions = None

    def _rows_of(
        self, records: Iterable[Record], used: set[str], rejected: list[Rejected], edits: dict[str, Row]
    ) -> Iterator[Row]:
        """The rows of records; `edits` gets the cells of those whose pictures nobody looked at and that have a row."""
        old = {row["key"] for row in self._old_rows(["key"])}
        for record in records:
            item = item_of(record)
            name, problem = self._names.of(item)
            if not record.is_for_target and name in old:
                continue  # it stays
            path = self._names.whole(item)
            words = (record.reason, *record.flags, *record.unsupported, *record.texts.values())
            texts = (record.caption, *record.captions, *words)
            if problem or not is_utf8(*texts):
                rejected.append(reject(record, problem or "its caption is not UTF-8"))
                continue
            if name in used:
                rejected.append(reject(record, f"another picture is also called {name}"))
                continue
            if name in old and record.is_text_only:
                edits[name] = self._edited(record)
                continue
            used.add(name)
            has_caption = record.status == "done" or bool(record.caption)
            yield {
                "key": name,
                "path": path if path and is_utf8(path) else None,
                "sha256": record.sha256 or None,
                "width": record.width or None,
                "height": record.height or None,
                "status": record.status,
                "reason": record.reason or None,
                self._column: record.caption if has_caption else None,
                "captions": list(record.captions or (record.caption,)) if has_caption else [],
                **{score: record.scores.get(score) for score in _SCORES},
                "flags": list(record.flags),
                "tokens": record.tokens or None,
                "dhash": record.dhash or None,
                "existing": record.existing if record.existing is not None and is_utf8(record.existing) else None,
                "tags": [tag.as_dict() for tag in record.tags],
                "unsupported": list(record.unsupported),
                "texts": [{"encoder": name, "text": text} for name, text in record.texts.items()],
            }

    def _edited(self, record: Record) -> Row:
        existing = record.existing if record.existing is not None and is_utf8(record.existing) else None
        return {
            self._column: record.caption, "captions": list(record.captions or (record.caption,)),
            "status": record.status, "reason": record.reason or None, "existing": existing,
            "flags": list(record.flags), "tokens": record.tokens or None, "unsupported": [],
        }  # fmt: skip

    def _schema(self) -> Any:
        import pyarrow as pa

        special = {
            "width": pa.int32(),
            "height": pa.int32(),
            "tokens": pa.int32(),
            "captions": pa.list_(pa.string()),
            "flags": pa.list_(pa.string()),
            "unsupported": pa.list_(pa.string()),
            "texts": pa.list_(pa.struct([("encoder", pa.string()), ("text", pa.string())])),
            "tags": pa.list_(
                pa.struct([("text", pa.string()), ("probability", pa.float32()), ("category", pa.string())])
            ),
            **{score: pa.float32() for score in _SCORES},
        }
        columns = (*_BEFORE_CAPTION, self._column, *_BEHIND_CAPTION)
        return pa.schema([(column, special.get(column, pa.string())) for column in columns])

    def _check_old(self) -> None:
        import pyarrow.parquet as pq

        if not self._file.exists():
            return
        try:
            names = {self._name_now(name) for name in pq.read_schema(self._file).names}
        except read_errors() as error:
            raise RequestError(f"{self._file}: exists, but is not a parquet file ({reason(error)})") from error
        if names | _LATER != {*COLUMNS, self._column}:
            odd = sorted(names ^ {*COLUMNS, self._column})[0]
            fault = "has the column" if odd in names else "has no column"
            raise RequestError(f"{self._file}: exists, but was not written by such a run: it {fault} {odd}")

    def _old_rows(self, columns: Sequence[str] | None = None) -> Iterator[Row]:
        import pyarrow.parquet as pq

        with suppress(FileNotFoundError), open(self._file, "rb") as file, pq.ParquetFile(file) as table:
            for batch in table.iter_batches(_ROWS, columns=columns):
                for row in batch.to_pylist():
                    yield {self._name_now(name): cell for name, cell in row.items()}

    def _name_now(self, column: str) -> str:
        """What a column of an existing file is called now."""
        return column if column == self._column else _FIRST_NAMES.get(column, column)


def _batches(rows: Iterable[Row]) -> Iterator[list[Row]]:
    batch: list[Row] = []
    for row in rows:
        batch.append(row)
        if len(batch) == _ROWS:
            yield batch
            batch = []
    if batch:
        yield batch
