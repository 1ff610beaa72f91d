"""How the encoding of many phrases is split."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True)
class BatchPolicy:
    """How encoding is split: finely enough to show progress and lose little in a crash, coarsely enough to be fast.

    The first call of `encode` gets `first_batch` phrases; the number then doubles, up to `largest_batch`, or halves, so
    that a call takes about `batch_seconds`. A segment is written after `segment_rows` rows or `segment_seconds`.
    """

    first_batch: int = 256
    largest_batch: int = 4096
    batch_seconds: float = 2.0
    segment_rows: int = 16384
    segment_seconds: float = 10.0

    def next_batch(self, size: int, seconds: float) -> int:
        """The size of the next batch, given that one of `size` took `seconds`."""
        if seconds > self.batch_seconds:
            return max(size // 2, 1)
        return min(size * 2, self.largest_batch) if seconds < self.batch_seconds / 2 else size
