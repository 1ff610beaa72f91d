"""Rows of jsonl, csv and parquet files."""

from __future__ import annotations

import csv
import io
import json
from collections.abc import Iterator
from typing import Any

from ....csv_fields import csv_reader
from ....errors import RequestError
from .errors import missing_package, read_errors, reason
from .storage import Storage


def read_rows(storage: Storage, path: str) -> Iterator[dict[str, Any]]:
    """A table's rows, one at a time. Raises RequestError, which names the line that cannot be read."""
    name = storage.uri(path)
    try:
        if name.endswith(".parquet"):
            yield from _parquet_rows(storage, path)
            return
        with storage.open(path) as file:
            if name.endswith(".csv"):
                yield from csv_rows(io.TextIOWrapper(file, "utf-8-sig", newline=""), name)
            else:
                yield from _json_rows(file, name)
    except UnicodeDecodeError as error:
        raise RequestError(f"{name}: is not UTF-8 ({reason(error)})") from error
    except RequestError:
        raise
    except read_errors() as error:
        raise RequestError(f"{name}: cannot be read ({reason(error)})") from error


def _json_rows(file: Any, name: str) -> Iterator[dict[str, Any]]:
    for number, line in enumerate(file, 1):
        if not line.strip():
            continue
        yield json_row(line, name, number)


def json_row(line: bytes, name: str, number: int) -> dict[str, Any]:
    """The object on one line. Raises RequestError."""
    try:
        row = json.loads(line.decode("utf-8-sig"))
    except (ValueError, RecursionError) as error:
        raise RequestError(f"{name}: line {number} is not JSON ({reason(error)})") from error
    if not isinstance(row, dict):
        raise RequestError(f"{name}: line {number} is not a JSON object")
    return row


def csv_rows(text: io.TextIOBase, name: str) -> Iterator[dict[str, Any]]:
    """The rows below the header. Raises RequestError."""
    reader = csv_reader(text)
    try:
        header = next(reader, [])
        for row in reader:
            if row:
                yield dict(zip(header, row + [""] * (len(header) - len(row)), strict=False))
    except csv.Error as error:
        raise RequestError(f"{name}: line {reader.line_num} is not CSV ({error})") from error


def _parquet_rows(storage: Storage, path: str) -> Iterator[dict[str, Any]]:
    try:
        import pyarrow.parquet as pq
    except ImportError as error:
        raise missing_package("pyarrow", storage.uri(path)) from error
    with storage.open(path) as file, pq.ParquetFile(file) as table:
        for batch in table.iter_batches(batch_size=1024):
            yield from batch.to_pylist()
