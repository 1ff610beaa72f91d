"""Rows: a table of embeddings stored in several pieces, as in the files of the cache."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import numpy.typing as npt
import torch
from torch import Tensor

Positions = npt.NDArray[np.int64]

# For torch versions that cannot multiply fp16 on the CPU: as fp32, so many rows stay in the processor's cache.
_BLOCK = 1024


class Rows:
    """N rows of length D, float16, selected from pieces that stay where they are (mostly memory-mapped files).

    A piece may hold rows that the table does not use, and the table may use a row twice: `numbers` says which rows
    belong to the table, and in which order.
    """

    def __init__(self, pieces: Sequence[Tensor], numbers: Positions | None = None) -> None:
        """Put pieces together.

        Args:
            pieces: [n_i, D] float16 each, at least one; exactly one unless they are on the CPU.
            numbers: for each row of the table its row number counted over all pieces, int64 [N]; None takes all rows
                in order.
        """
        self._pieces = [piece.detach() for piece in pieces]
        self._starts = np.cumsum([0, *map(len, pieces)])  # [P + 1]
        total = int(self._starts[-1])
        if numbers is not None and len(numbers) == total and bool((numbers == np.arange(total)).all()):
            numbers = None
        self._numbers = numbers

    def __len__(self) -> int:
        return int(self._starts[-1]) if self._numbers is None else len(self._numbers)

    @property
    def device(self) -> torch.device:
        """Where the rows are."""
        return self._pieces[0].device

    @property
    def width(self) -> int:
        """D, the length of a row."""
        return int(self._pieces[0].shape[1])

    def dots(self, vector: Tensor) -> npt.NDArray[np.float32]:
        """Products of a float16 vector [D] with every row, float32 [N]; rounded to float16 where torch rounds them."""
        products = [_product(piece, vector).cpu().numpy() for piece in self._pieces]
        values = np.concatenate(products).astype(np.float32)
        return values if self._numbers is None else values[self._numbers]

    def at(self, positions: Positions | Sequence[int]) -> Tensor:
        """The rows at `positions` [n], copied: float16 [n, D]."""
        positions = np.asarray(positions, dtype=np.int64)
        numbers = positions if self._numbers is None else self._numbers[positions]
        if len(self._pieces) == 1:
            return self._pieces[0].index_select(0, torch.from_numpy(numbers).to(self.device))
        rows = np.empty((len(numbers), self.width), dtype=np.float16)  # [n, D]
        homes = np.searchsorted(self._starts, numbers, side="right") - 1  # [n]
        for home in np.unique(homes).tolist():
            here = homes == home
            rows[here] = self._pieces[home].numpy()[numbers[here] - self._starts[home]]
        return torch.from_numpy(rows)

    def joined(self) -> Tensor:
        """All rows [N, D] as one tensor; copied only if they are not one already."""
        if self._numbers is None:
            return self._pieces[0] if len(self._pieces) == 1 else torch.cat(self._pieces)
        return self.at(np.arange(len(self)))

    def to(self, device: torch.device) -> Rows:
        """The rows on `device`: unchanged if they are there, else copied as one tensor."""
        return self if device == self.device else Rows([self.joined().to(device)])


def _product(rows: Tensor, vector: Tensor) -> Tensor:
    """`rows` [n, D] times `vector` [D], both float16."""
    try:
        return rows @ vector
    except RuntimeError:  # torch before 2.1 has no fp16 product on the CPU
        return torch.cat([block.float() @ vector.float() for block in torch.split(rows, _BLOCK)])
