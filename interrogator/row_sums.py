"""RowSums: checksums of embedding rows, so that what is read from disk is proved before a result depends on it.

Checking every row takes a third of the time that a product with all rows takes, and most rows decide nothing. So a row
has a checksum, proved where the row itself is looked at, and a block of rows has its sum: the products of the rows
must add up to the product of the sum, which shows the rows whose product is wrong without reading them twice.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
import torch
from torch import Tensor

from .checksum import Words, word_sums

BLOCK = 64
"""Rows whose sum is stored: 3 % of the table."""

_NUMBER = np.uint64(0x9E3779B97F4A7C15)  # odd, so each row number counts differently
# Rounding a product to float16 is off by at most 2^-11 of it; spread evenly, by this much on average (root of squares).
_ROUNDED = 2.0**-11 / 3**0.5
# What float32 sums add to that.
_SUMMED = 1e-6
# A block is looked at if it is off by more than this many standard deviations (a few of 2,000 are by chance), so
# damage that goes unseen moves a product by hardly more than the second number of them.
_SUSPECT, _UNSEEN = 3.0, 5.0
_CHUNK = 4096

Numbers = npt.NDArray[np.int64]


@dataclass(frozen=True, eq=False)
class RowSums:
    """The checksums of n rows of length D.

    Attributes:
        rows: the checksum of each row, uint64 [n]; it holds for this row at this number of this table alone.
        numbers: the number of each row in the table that was written, int64 [n].
        blocks: the sum of each `BLOCK` rows that follow each other, float32 [n / BLOCK, D]; None for scattered rows.
        seed: of the table.
    """

    rows: Words
    numbers: Numbers
    blocks: Tensor | None
    seed: int

    @classmethod
    def of(cls, rows: Tensor, seed: int) -> RowSums:
        """The checksums of a table [n, D] float16 on the CPU."""
        numbers = np.arange(len(rows))
        sums = [_sums(rows[start : start + _CHUNK], numbers[start : start + _CHUNK], seed) for start in _starts(rows)]
        blocks = torch.empty(-(-len(rows) // BLOCK), rows.shape[1])
        for start in _starts(rows):
            part = rows[start : start + _CHUNK].numpy().astype(np.float64)
            added = np.add.reduceat(part, np.arange(0, len(part), BLOCK), axis=0)
            blocks[start // BLOCK : start // BLOCK + len(added)] = torch.from_numpy(added)
        return cls(np.concatenate([np.zeros(0, dtype=np.uint64), *sums]), numbers, blocks, seed)

    def part(self, first: int, last: int) -> RowSums:
        """Those of the rows from `first` up to `last`; `first` is a multiple of `BLOCK`, `last` too or the end."""
        blocks = None if self.blocks is None else self.blocks[first // BLOCK : -(-last // BLOCK)]
        return RowSums(self.rows[first:last], self.numbers[first:last], blocks, self.seed)

    def picked(self, picks: Numbers) -> RowSums:
        """Those of the rows at `picks` [m]."""
        return RowSums(self.rows[picks], self.numbers[picks], None, self.seed)

    def wrong(self, rows: Tensor, positions: Numbers) -> Numbers:
        """Those of `positions` [m] whose row, of `rows` [m, D], is not the one that was written."""
        right = _sums(rows, self.numbers[positions], self.seed) == self.rows[positions]
        wrong: Numbers = positions[~right]
        return wrong

    def wrong_of_all(self, rows: Tensor) -> Numbers:
        """The positions of all of `rows` [n, D] that are not what was written."""
        parts = [np.arange(start, min(start + _CHUNK, len(rows))) for start in _starts(rows)]
        wrong = [self.wrong(rows[int(part[0]) : int(part[-1]) + 1], part) for part in parts]
        return np.concatenate([np.zeros(0, dtype=np.int64), *wrong])

    def suspects(self, vector: Tensor, products: npt.NDArray[np.float32]) -> tuple[Numbers, float]:
        """The positions of rows whose products [n] with `vector` [D] may be wrong, and how far off others can be."""
        if self.blocks is None or not len(products):
            return np.arange(len(products)), 0.0
        with np.errstate(all="ignore"):  # damaged rows may have any product
            firsts = np.arange(0, len(products), BLOCK)
            values = products.astype(np.float64)
            found = np.add.reduceat(values, firsts)  # [B]
            noise = _ROUNDED * np.sqrt(np.add.reduceat(values * values, firsts)) + _SUMMED
            off = ~(np.abs(found - (self.blocks @ vector.float()).numpy()) <= _SUSPECT * noise)
        positions = np.flatnonzero(np.repeat(off, BLOCK)[: len(products)])
        return positions, float(_UNSEEN * noise[~off].max(initial=0.0))


def _sums(rows: Tensor, numbers: Numbers, seed: int) -> Words:
    data = np.ascontiguousarray(rows.numpy())  # [n, D] float16
    if data.shape[1] % 4:
        data = np.pad(data, ((0, 0), (0, -data.shape[1] % 4)))
    return (word_sums(data.view("<u8")) ^ np.uint64(seed)) + numbers.astype(np.uint64) * _NUMBER


def _starts(rows: Tensor) -> range:
    return range(0, len(rows), _CHUNK)
