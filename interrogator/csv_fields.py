"""Readers of csv files whose fields may have any length: csv's own limit of 128 kB holds for the whole process."""

from __future__ import annotations

import csv
from collections.abc import Iterable
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from _csv import Reader

_MOST = 2**31 - 1  # of a C long, wherever we are


def csv_reader(lines: Iterable[str]) -> Reader:
    """`csv.reader` without a limit; raises csv.Error while it is read."""
    csv.field_size_limit(_MOST)
    return csv.reader(lines)
