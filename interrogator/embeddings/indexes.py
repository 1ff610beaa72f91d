"""Saved row numbers of one list of phrases, so that opening the list again looks up no phrase.

A file holds `segment` and `row`, both int32 [N], and in its metadata the segments' names and a digest of all three.
It is a shortcut only: one that is damaged, or names a segment that is gone, is computed again from the keys.
"""

from __future__ import annotations

import hashlib
import json
import os
from collections.abc import Sequence
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import numpy.typing as npt
import torch
from safetensors.torch import save
from torch import Tensor

from .files import FORMAT_VERSION, DamagedFile, reading, write_whole

INDEX_SUFFIX = ".safetensors"
# Looking up fewer phrases costs less than a file.
SMALLEST_INDEXED_LIST = 16
# Lists come and go as people edit their banks; the oldest indexes make room.
KEPT_INDEXES = 64
# Below this many neighbours a run, copying run by run is slower than picking row by row.
_ROWS_WORTH_A_SLICE = 16

IntArray = npt.NDArray[np.int32]


@dataclass(frozen=True, eq=False)
class RowIndex:
    """Where each phrase of a list lies: row `row[i]` of the segment called `names[segment[i]]`; both int32 [N]."""

    names: tuple[str, ...]
    segment: IntArray
    row: IntArray

    def digest(self) -> str:
        state = hashlib.blake2b(json.dumps(self.names).encode(), digest_size=16)
        state.update(self.segment.tobytes())
        state.update(self.row.tobytes())
        return state.hexdigest()


def list_digest(phrases: Sequence[str]) -> str:
    """32 hex characters that stand for a list: its phrases, their borders and their order."""
    lengths = np.fromiter((len(phrase) for phrase in phrases), dtype="<i8", count=len(phrases))
    state = hashlib.blake2b(lengths.tobytes(), digest_size=16)
    state.update("".join(phrases).encode("utf-8", "surrogatepass"))
    return state.hexdigest()


def write_index(folder: Path, digest: str, index: RowIndex) -> None:
    """Saves the index of the list `digest` and drops the oldest beyond KEPT_INDEXES. Raises OSError."""
    metadata = {"format": str(FORMAT_VERSION), "names": json.dumps(index.names), "digest": index.digest()}
    tensors = {"segment": torch.from_numpy(index.segment), "row": torch.from_numpy(index.row)}
    folder.mkdir(exist_ok=True)
    write_whole(folder / (digest + INDEX_SUFFIX), save(tensors, metadata))
    with suppress(OSError):  # somebody else may be dropping the same ones
        by_age = sorted(folder.glob(f"*{INDEX_SUFFIX}"), key=lambda path: path.stat().st_mtime)
        for path in by_age[:-KEPT_INDEXES]:
            path.unlink()


def read_index(folder: Path, digest: str, count: int) -> RowIndex:
    """The saved index of a list of `count` phrases. Raises DamagedFile, or OSError (FileNotFoundError: none saved)."""
    path = folder / (digest + INDEX_SUFFIX)
    with reading(path) as file:
        metadata: dict[str, str] = file.metadata() or {}
        if metadata.get("format") != str(FORMAT_VERSION):
            raise DamagedFile(path, f"format version {metadata.get('format')}, not {FORMAT_VERSION}")
        # Copies: a file of this name may be replaced, and must not stay mapped for that.
        segment: IntArray = file.get_tensor("segment").numpy().copy()
        row: IntArray = file.get_tensor("row").numpy().copy()
        index = RowIndex(tuple(map(str, json.loads(metadata["names"]))), segment, row)
        whole = index.digest() == metadata["digest"]
    if not whole or segment.dtype != np.int32 or segment.shape != (count,) or row.shape != (count,):
        raise DamagedFile(path, "the row numbers are damaged")
    with suppress(OSError):  # the age of an index is when it was last used
        os.utime(path)
    return index


def gather(parts: Sequence[Tensor], segment: IntArray, row: IntArray, width: int) -> Tensor | None:
    """The table [N, D] float16 whose row i is `parts[segment[i]][row[i]]`; None if a number is out of range.

    Neighbouring rows of one part come back as a slice of it, without a copy.
    """
    if not len(segment):
        return torch.empty(0, width, dtype=torch.float16)
    if segment.min() < 0 or segment.max() >= len(parts) or row.min() < 0:
        return None
    sizes = np.array([len(part) for part in parts])  # [S]
    if (row >= sizes[segment]).any():
        return None
    borders = np.flatnonzero((np.diff(segment) != 0) | (np.diff(row) != 1)) + 1  # where neighbours part
    starts = np.concatenate([[0], borders])  # [R]
    ends = np.concatenate([borders, [len(row)]])  # [R]
    if len(starts) == 1:
        return parts[int(segment[0])][int(row[0]) : int(row[0]) + len(row)]
    table = torch.empty(len(row), width, dtype=torch.float16)  # [N, D]
    if len(starts) * _ROWS_WORTH_A_SLICE <= len(row):
        for start, end in zip(starts.tolist(), ends.tolist(), strict=True):
            first = int(row[start])
            table[start:end] = parts[int(segment[start])][first : first + end - start]
        return table
    for number in np.unique(segment):
        places = np.flatnonzero(segment == number)  # [n]
        rows = torch.from_numpy(row[places].astype(np.int64))
        table[torch.from_numpy(places)] = parts[number].index_select(0, rows)
    return table
