"""Reading the small files of a tagger: whole, in UTF-8, or an error that says what to do."""

from __future__ import annotations

import csv
import io
import json
from pathlib import Path
from typing import Any

from ..errors import ModelLoadError
from ..files import is_lfs_pointer, read_bounded, require_regular

_LARGEST = 100_000_000  # bytes; the largest tag table takes about 5 MB


def check_not_pointer(path: Path) -> None:
    """Raises ModelLoadError: a file is a Git LFS pointer, or cannot be read at all."""
    try:
        require_regular(path)
        if is_lfs_pointer(path):
            raise ModelLoadError(f"{path} is a pointer of Git LFS, not the file itself: fetch it with `git lfs pull`")
    except OSError as error:
        raise ModelLoadError(f"{path} cannot be read: {error.strerror or error}") from error


def read_text(path: Path) -> str:
    """A text file without the mark that some editors put in front. Raises ModelLoadError."""
    check_not_pointer(path)
    try:
        return read_bounded(path, _LARGEST).decode("utf-8-sig")
    except UnicodeDecodeError as error:
        raise ModelLoadError(f"{path} is not in UTF-8: some program has saved it anew; download it again") from error
    except OSError as error:
        raise ModelLoadError(f"{path} cannot be read: {error.strerror or error}") from error


def read_json(path: Path) -> Any:
    """What a JSON file holds. Raises ModelLoadError."""
    try:
        return json.loads(read_text(path))
    except (ValueError, RecursionError) as error:
        raise ModelLoadError(f"{path} is not JSON ({error}): download it again") from error


def read_rows(path: Path, *columns: str) -> list[dict[str, str]]:
    """The rows of a CSV file by the names of its header.

    Raises ModelLoadError: it cannot be read, or has no such columns.
    """
    try:
        reader = csv.DictReader(io.StringIO(read_text(path), newline=""), strict=True)
        header = [name.strip() for name in reader.fieldnames or ()]
        reader.fieldnames = header
        rows = list(reader)
    except csv.Error as error:
        raise ModelLoadError(f"{path} is not a table in CSV ({error}): download it again") from error
    lacking = [name for name in columns if name not in header]
    if lacking:
        raise ModelLoadError(f"{path} has no column {' and no '.join(lacking)}: its first line must name the columns")
    for number, row in enumerate(rows, 1):
        if None in row or None in row.values():
            raise ModelLoadError(f"{path}: row {number} has not as many fields as the header: download it again")
    return rows
