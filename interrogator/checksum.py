"""A sum by which a file of ours shows that it is still what was written."""

from __future__ import annotations

import numpy as np


def checksum(data: bytes | memoryview) -> int:
    """A number that damage changes: the sum of the 64-bit words, taken as fast as memory can be read.

    For files that only save work: it is no defence against somebody who means to deceive it.
    """
    whole = len(data) // 8 * 8
    return (int(np.frombuffer(data[:whole], dtype="<u8").sum()) + int.from_bytes(data[whole:], "little")) % 2**64
