"""A segment: an immutable safetensors file of embedding rows and the digests of their phrases.

rows     float16 [n, D]   unit rows
keys     uint8 [n, 16]    blake2b-128 of each phrase's UTF-8
metadata format, count, keys (digest of `keys`), created (ns since 1970: the order in which to merge)
"""

from __future__ import annotations

import hashlib
import time
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from uuid import uuid4

import numpy as np
import torch
from safetensors.torch import save
from torch import Tensor

from ..files import write_whole
from .cache_files import FORMAT_VERSION, DamagedFile, open_tensors

KEY_BYTES = 16
SEGMENT_SUFFIX = ".safetensors"
# Rows computed and normalised in bfloat16 have a length within 0.5 % of 1; garbage has any length.
ROW_LENGTH_TOLERANCE = 0.02
_SAMPLED_ROWS = 32


@dataclass(frozen=True, eq=False)
class Segment:
    """Memory-mapped rows of one file, or rows of this process only if `path` is None.

    rows: [n, D] float16; a private map, so writing to it changes no file, but every table made from it
    keys: [n, 16] uint8; also a map, not read before `phrase_keys`
    """

    path: Path | None
    rows: Tensor
    keys: Tensor
    keys_digest: str
    created: int

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
    metadata = {
        "format": str(FORMAT_VERSION),
        "count": str(len(keys)),
        "keys": held.keys_digest,
        "created": str(created or held.created),
    }
    folder.mkdir(exist_ok=True)
    path = folder / f"{uuid4().hex}{SEGMENT_SUFFIX}"
    write_whole(path, save({"rows": held.rows, "keys": held.keys}, metadata))
    return open_segment(path, width=rows.shape[1])


def open_segment(path: Path, width: int) -> Segment:
    """Map a segment of rows of length `width`. Raises DamagedFile, or OSError if it cannot be opened.

    The whole header is checked, but only an even sample of the rows: checking all would read the whole file.
    """
    with open_tensors(path) as file:
        metadata: dict[str, str] = file.metadata() or {}
        if metadata.get("format") != str(FORMAT_VERSION):
            raise DamagedFile(path, f"format version {metadata.get('format')}, not {FORMAT_VERSION}")
        rows: Tensor = file.get_tensor("rows")
        keys: Tensor = file.get_tensor("keys")
        count, created = int(metadata["count"]), int(metadata["created"])
        digest = metadata["keys"]
    if rows.dtype != torch.float16 or count < 1 or list(rows.shape) != [count, width]:
        raise DamagedFile(path, f"rows are {rows.dtype} {list(rows.shape)}, not float16 [{count}, {width}]")
    if keys.dtype != torch.uint8 or list(keys.shape) != [count, KEY_BYTES]:
        raise DamagedFile(path, f"keys are {keys.dtype} {list(keys.shape)}, not uint8 [{count}, {KEY_BYTES}]")
    picks = np.linspace(0, count - 1, min(count, _SAMPLED_ROWS)).astype(np.int64)
    if not are_unit_rows(
        torch.from_numpy(rows.numpy()[picks])
    ):  # NumPy, since torch would wake its threads for so few rows
        raise DamagedFile(path, "its rows are not finite unit rows")
    return Segment(path, rows, keys, digest, created)


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


def _digest(data: bytes) -> str:
    return hashlib.blake2b(data, digest_size=KEY_BYTES).hexdigest()
