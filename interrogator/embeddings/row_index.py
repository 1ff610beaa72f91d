"""Saved row numbers of one list of phrases, so that opening the list again looks up no phrase.

A file holds `segment` and `row`, both int32 [N], the list's notes (`PhraseList.notes`, int32 or int64 each), and in its
metadata the list, the name of each segment with the digest of its keys, and checksums. It is only a shortcut: an index
that is damaged or that of another list, or that names a segment that is gone or has other keys, is recomputed from the
keys.
"""

from __future__ import annotations

import json
import os
from collections.abc import Callable, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import torch
from safetensors.torch import save
from torch import Tensor

from ..checksum import checksum
from ..files import keep_newest, write_whole
from ..row_sums import BLOCK, RowSums
from ..rows import Rows
from .cache_files import DamagedFile, open_tensors
from .segments import Segment

INDEX_SUFFIX = ".safetensors"
# Version 1 had no notes, version 2 did not know the keys; their files have other names and are deleted when they become
# the oldest.
INDEX_VERSION = 3
# Looking up fewer phrases costs less than a file.
SMALLEST_INDEXED_LIST = 16
# Editing a bank makes a new list, so the oldest indexes are deleted.
KEPT_INDEXES = 64
# A list that uses a smaller share of a range of rows gets a copy of them; otherwise every pass would read the rest too.
_LEAST_SHARE = 0.5

IntArray = npt.NDArray[Any]  # int32 or int64
Note = Callable[[], IntArray]


@dataclass(frozen=True, eq=False)
class PhraseList:
    """A list of phrases known by its digest: if an index of it is saved, the phrases are not read.

    phrases: duplicates are allowed
    digest:  32 hex characters that identify the phrases, their order and the inputs of the notes
    notes:   further arrays to save with the list, by name: each callable returns int32 or int64
    """

    phrases: Sequence[str]
    digest: str
    notes: Mapping[str, Note] = field(default_factory=dict)


@dataclass(frozen=True, eq=False)
class RowIndex:
    """Where each phrase of a list is stored: row `row[i]` of the segment `names[segment[i]]`; both int32 [N].

    keys:  the digest of the keys of each segment.
    notes: the arrays saved with the list, by name.
    """

    names: tuple[str, ...]
    keys: tuple[str, ...]
    segment: IntArray
    row: IntArray
    notes: Mapping[str, Note]


def write_index(folder: Path, digest: str, index: RowIndex) -> None:
    """Save the index of the list `digest` and delete the oldest beyond KEPT_INDEXES. Raises OSError."""
    arrays = {name: np.ascontiguousarray(note()) for name, note in index.notes.items()}
    arrays |= {"segment": index.segment, "row": index.row}
    sums = {name: _sum(array) for name, array in arrays.items()}
    known = json.dumps({"list": digest, "names": index.names, "keys": index.keys, "sums": sums})
    metadata = {"format": str(INDEX_VERSION), "known": known, "sum": str(checksum(known.encode()))}
    folder.mkdir(exist_ok=True)
    whole = save({name: torch.from_numpy(array) for name, array in arrays.items()}, metadata)
    write_whole(_path(folder, digest), whole)
    keep_newest(folder, INDEX_SUFFIX, KEPT_INDEXES)


def read_index(folder: Path, phrase_list: PhraseList) -> RowIndex | None:
    """The saved index of a list; None if it lacks a note. Its notes are not read before they are called.

    Raises DamagedFile, or OSError (FileNotFoundError: no index is saved).
    """
    path = _path(folder, phrase_list.digest)
    with open_tensors(path) as file:
        metadata: dict[str, str] = file.metadata() or {}
        if metadata.get("format") != str(INDEX_VERSION):
            raise DamagedFile(path, f"format version {metadata.get('format')}, not {INDEX_VERSION}")
        arrays: dict[str, IntArray] = {name: file.get_tensor(name).numpy() for name in file.keys()}
        known = metadata["known"]
        if str(checksum(known.encode())) != metadata["sum"]:
            raise DamagedFile(path, "its description is damaged")
        told = json.loads(known)
        sums, names, keys = told["sums"], tuple(map(str, told["names"])), tuple(map(str, told["keys"]))
        if told["list"] != phrase_list.digest:
            raise DamagedFile(path, "it belongs to another list")
        segment, row = arrays["segment"], arrays["row"]
        whole = all(_sum(arrays[name]) == sums[name] for name in ("segment", "row"))
    shape = (len(phrase_list.phrases),)
    if not whole or segment.dtype != np.int32 or segment.shape != shape or row.shape != shape:
        raise DamagedFile(path, "the row numbers are damaged")
    with suppress(OSError):  # the modification time records the last use
        os.utime(path)
    if not phrase_list.notes.keys() <= arrays.keys():
        return None
    notes = {name: partial(_sound, arrays[name], sums.get(name), make) for name, make in phrase_list.notes.items()}
    return RowIndex(names, keys, segment, row, notes)


def _path(folder: Path, digest: str) -> Path:
    return folder / f"{digest}-{INDEX_VERSION}{INDEX_SUFFIX}"


def _sum(array: IntArray) -> list[object]:
    return [str(array.dtype), *array.shape, checksum(array.tobytes())]


def _sound(saved: IntArray, sum_: object, make: Note) -> IntArray:
    """The saved note if it is intact, else recomputed."""
    return saved if _sum(saved) == sum_ else make()


def laid_out(
    segments: Sequence[Segment], segment: IntArray, row: IntArray, width: int, renew: Callable[[], Rows]
) -> Rows | None:
    """The table [N, D] float16 whose row i is row `row[i]` of `segments[segment[i]]`; None if a number is out of range.

    Rows are copied only if they are scattered among many others.

    renew: makes the table once a row turns out damaged.
    """
    if len(segment) and (segment.min() < 0 or segment.max() >= len(segments) or row.min() < 0):
        return None
    sizes = np.array([len(part.rows) for part in segments], dtype=np.int64)  # [S]
    starts = np.cumsum(sizes) - sizes  # [S]
    if len(segment) and (row >= sizes[segment]).any():
        return None
    if len(segments) and (np.bincount(segment, minlength=len(segments)) == sizes).all():
        tables, sums = [part.rows for part in segments], [part.sums for part in segments]
        return Rows(tables, starts[segment] + row, sums, renew)  # the usual case: segments written for this list
    pieces: list[Tensor] = []
    proofs: list[RowSums | None] = []
    numbers = np.empty(len(row), dtype=np.int64)  # [N]
    total = 0
    for number, part in enumerate(segments):
        here = np.flatnonzero(segment == number)  # [n]
        if not len(here):
            continue
        own = row[here]
        first = int(own.min()) // BLOCK * BLOCK  # whole blocks, which have sums
        last = min(-(-(int(own.max()) + 1) // BLOCK) * BLOCK, len(part.rows))
        if len(own) >= _LEAST_SHARE * (last - first):
            piece, local = part.rows[first:last], own - first
            proofs.append(part.sums and part.sums.part(first, last))
        else:
            picks, local = np.unique(own.astype(np.int64), return_inverse=True)
            piece = part.rows.index_select(0, torch.from_numpy(picks))
            proofs.append(part.sums and part.sums.picked(picks))
        numbers[here] = local.reshape(-1).astype(np.int64) + total
        pieces.append(piece)
        total += len(piece)
    if not pieces:
        return Rows([torch.empty(0, width, dtype=torch.float16)], numbers)
    return Rows(pieces, numbers, proofs, renew)
