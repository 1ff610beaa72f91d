"""A segment: an immutable safetensors file of embedding rows and the digests of their phrases.

rows     float16 [n, D]   unit rows
keys     uint8 [n, 16]    blake2b-128 of each phrase's UTF-8
sums     int64 [n]        checksum of each row, bound to its number and to the keys
blocks   float32 [b, D]   sum of each 64 rows
metadata format, count, keys (digest of `keys`), created (ns since 1970: the order in which to merge), sums

Segments written before there were checksums lack `sums`, `blocks` and the note of them in the metadata. Such a file is
replaced once, by the same rows with their checksums; nothing can tell whether they were damaged before that.
"""

from __future__ import annotations

import hashlib
import logging
import time
from collections.abc import Sequence
from contextlib import suppress
from dataclasses import dataclass, replace
from pathlib import Path
from uuid import uuid4

import numpy as np
import numpy.typing as npt
import torch
from safetensors.torch import save
from torch import Tensor

from ..files import write_whole
from ..row_sums import BLOCK, RowSums
from .cache_files import FORMAT_VERSION, DamagedFile, open_tensors

logger = logging.getLogger("interrogator")

KEY_BYTES = 16
SEGMENT_SUFFIX = ".safetensors"
# Rows computed and normalised in bfloat16 have a length within 0.5 % of 1; garbage has any length.
ROW_LENGTH_TOLERANCE = 0.02
_SAMPLED_ROWS = 32
_SUMS_VERSION = "1"


@dataclass(frozen=True, eq=False)
class Segment:
    """Memory-mapped rows of one file, or rows of this process only if `path` is None.

    rows: [n, D] float16; a private map, so writing to it changes no file, but every table made from it
    keys: [n, 16] uint8; also a map, not read before `phrase_keys`
    sums: the checksums of the rows; None if they need no proof
    """

    path: Path | None
    rows: Tensor
    keys: Tensor
    keys_digest: str
    created: int
    sums: RowSums | None = None

    @property
    def name(self) -> str:
        """The name of the file; "" for rows that are not on disk."""
        return self.path.name if self.path else ""

    def phrase_keys(self) -> list[bytes]:
        """The key of each row. Raises DamagedFile if they are not the keys that were written."""
        data = self.keys.numpy().tobytes()
        if self.path and _digest(data) != self.keys_digest:
            raise DamagedFile(self.path, "its keys are damaged")
        return [data[start : start + KEY_BYTES] for start in range(0, len(data), KEY_BYTES)]

    def wrong_rows(self) -> npt.NDArray[np.int64]:
        """The numbers of the rows that are not what was written; checks all of them."""
        return np.zeros(0, dtype=np.int64) if self.sums is None else self.sums.wrong_of_all(self.rows)


def phrase_key(phrase: str) -> bytes:
    """16 bytes that identify a phrase; lone surrogates, which file names may contain, are allowed."""
    return hashlib.blake2b(phrase.encode("utf-8", "surrogatepass"), digest_size=KEY_BYTES).digest()


def memory_segment(keys: Sequence[bytes], rows: Tensor) -> Segment:
    """A segment in memory only: n keys of 16 bytes, rows [n, D] float16."""
    data = b"".join(keys)
    table = torch.frombuffer(bytearray(data), dtype=torch.uint8).view(-1, KEY_BYTES)  # [n, 16]
    return Segment(None, rows.contiguous(), table, _digest(data), time.time_ns())


def write_segment(folder: Path, keys: Sequence[bytes], rows: Tensor, created: int | None = None) -> Segment:
    """Write rows [n, D] float16 to a new file in `folder` and map it. Raises OSError, DamagedFile."""
    held = memory_segment(keys, rows)
    folder.mkdir(exist_ok=True)
    path = folder / f"{uuid4().hex}{SEGMENT_SUFFIX}"
    _write(path, replace(held, created=created or held.created), RowSums.of(held.rows, _seed(held.keys_digest)))
    return open_segment(path, width=rows.shape[1])


def _write(path: Path, segment: Segment, sums: RowSums) -> None:
    assert sums.blocks is not None
    tensors = {"rows": segment.rows, "keys": segment.keys, "blocks": sums.blocks}
    metadata = {
        "format": str(FORMAT_VERSION),
        "count": str(len(segment.rows)),
        "keys": segment.keys_digest,
        "created": str(segment.created),
        "sums": _SUMS_VERSION,
    }
    write_whole(path, save({**tensors, "sums": torch.from_numpy(sums.rows.view(np.int64))}, metadata))


def open_segment(path: Path, width: int) -> Segment:
    """Map a segment of rows of length `width`. Raises DamagedFile, or OSError if it cannot be opened.

    The whole header is checked, but only an even sample of the rows: checking all would read the whole file. Whoever
    uses a row proves it by `Segment.sums`.
    """
    with open_tensors(path) as file:
        metadata: dict[str, str] = file.metadata() or {}
        if metadata.get("format") != str(FORMAT_VERSION):
            raise DamagedFile(path, f"format version {metadata.get('format')}, not {FORMAT_VERSION}")
        rows: Tensor = file.get_tensor("rows")
        keys: Tensor = file.get_tensor("keys")
        count, created = int(metadata["count"]), int(metadata["created"])
        digest = metadata["keys"]
        version, checks = metadata.get("sums"), {"sums", "blocks"} & set(file.keys())
        if version not in (None, _SUMS_VERSION) or len(checks) != (2 if version else 0):
            raise DamagedFile(path, "its checksums are missing or of another version")
        words, blocks = (file.get_tensor("sums"), file.get_tensor("blocks")) if version else (None, None)
    if rows.dtype != torch.float16 or count < 1 or list(rows.shape) != [count, width]:
        raise DamagedFile(path, f"rows are {rows.dtype} {list(rows.shape)}, not float16 [{count}, {width}]")
    if keys.dtype != torch.uint8 or list(keys.shape) != [count, KEY_BYTES]:
        raise DamagedFile(path, f"keys are {keys.dtype} {list(keys.shape)}, not uint8 [{count}, {KEY_BYTES}]")
    picks = np.linspace(0, count - 1, min(count, _SAMPLED_ROWS)).astype(np.int64)
    if not are_unit_rows(
        torch.from_numpy(rows.numpy()[picks])
    ):  # NumPy, since torch would wake its threads for so few rows
        raise DamagedFile(path, "its rows are not finite unit rows")
    segment = Segment(path, rows, keys, digest, created)
    if words is None or blocks is None:
        return _with_sums(segment)
    if words.dtype != torch.int64 or list(words.shape) != [count]:
        raise DamagedFile(path, f"checksums are {words.dtype} {list(words.shape)}, not int64 [{count}]")
    if blocks.dtype != torch.float32 or list(blocks.shape) != [-(-count // BLOCK), width]:
        raise DamagedFile(path, f"sums of rows are {blocks.dtype} {list(blocks.shape)}")
    return replace(segment, sums=RowSums(words.numpy().view(np.uint64), np.arange(count), blocks, _seed(digest)))


def _with_sums(segment: Segment) -> Segment:
    """A segment written before there were checksums, with them; the file gets them too if it can be written.

    Raises DamagedFile: its rows or keys are not valid.
    """
    assert segment.path is not None
    if not are_unit_rows(segment.rows):
        raise DamagedFile(segment.path, "its rows are not finite unit rows")
    segment.phrase_keys()
    sums = RowSums.of(segment.rows, _seed(segment.keys_digest))
    with suppress(OSError):  # read-only, or mapped on Windows: the checksums are computed next time too
        _write(segment.path, segment, sums)
        logger.info("embedding cache: %s was written without checksums and has them now", segment.path)
    return replace(segment, sums=sums)


def count_rows(path: Path) -> int:
    """The number of rows according to the header of a segment. Raises DamagedFile, OSError."""
    with open_tensors(path) as file:
        return int(file.get_slice("rows").get_shape()[0])


def segment_paths(folder: Path) -> list[Path]:
    """The finished segments in `folder`, by name; [] if there is no folder. Raises other OSErrors."""
    try:
        return sorted(path for path in folder.iterdir() if path.suffix == SEGMENT_SUFFIX)
    except (FileNotFoundError, NotADirectoryError):
        return []


def are_unit_rows(rows: Tensor) -> bool:
    """Whether all rows [n, D] are finite and of length one."""
    precision = torch.promote_types(
        rows.dtype, torch.float32
    )  # accumulates in float32 without a float32 copy of the table
    lengths = torch.linalg.vector_norm(rows, dim=-1, dtype=precision)  # [n]; NaN and infinity fail the comparison
    return bool(((lengths - 1).abs() < ROW_LENGTH_TOLERANCE).all())


def _seed(keys_digest: str) -> int:
    """What binds the checksums of rows to the keys that they were written with."""
    return int.from_bytes(hashlib.blake2b(keys_digest.encode(), digest_size=8).digest(), "little")


def _digest(data: bytes) -> str:
    return hashlib.blake2b(data, digest_size=KEY_BYTES).hexdigest()
