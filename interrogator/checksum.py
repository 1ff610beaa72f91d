"""Fast checksums for files that this library writes: they tell what was damaged, moved or mixed up.

They are no protection against deliberate changes.
"""

from __future__ import annotations

import hashlib
from functools import lru_cache

import numpy as np
import numpy.typing as npt

Words = npt.NDArray[np.uint64]

_WIDTH = 512  # words
_CHUNK = 1 << 18  # words summed at a time, which bounds memory


def word_sums(words: Words) -> Words:
    """A checksum of each row of 64-bit words [n, W]: uint64 [n].

    A multilinear hash with fixed odd weights: a changed bit always changes it, and so, but for one case in 2^32, does
    any other change, words that change places among them. The upper halves count again by themselves, because a
    product modulo 2^64 forgets all but the lowest bit of a weight where only the highest bit of a word differs.
    """
    lower, upper = _weights(words.shape[1])
    sums = np.empty(len(words), dtype=np.uint64)  # [n]
    step = max(_CHUNK // max(words.shape[1], 1), 1)
    for start in range(0, len(words), step):
        part = words[start : start + step]
        sums[start : start + step] = np.einsum("ij,j->i", part, lower)
        sums[start : start + step] += np.einsum("ij,j->i", part >> np.uint64(32), upper)
    return sums


def checksum(data: bytes | memoryview) -> int:
    """A checksum of 64 bits of `data`, in which the position of every byte counts."""
    data = memoryview(data).cast("B")
    whole = len(data) // (8 * _WIDTH) * (8 * _WIDTH)
    state = hashlib.blake2b(data[whole:], digest_size=8)
    state.update(word_sums(np.frombuffer(data[:whole], dtype="<u8").reshape(-1, _WIDTH)).tobytes())
    return int.from_bytes(state.digest(), "little")


@lru_cache(maxsize=8)
def _weights(width: int) -> tuple[Words, Words]:
    """Two lists of random odd weights [W]."""
    stream = hashlib.shake_128(b"interrogator").digest(16 * width)
    weights = np.frombuffer(stream, dtype="<u8").reshape(2, width) | np.uint64(1)
    return weights[0], weights[1]
