"""Rows: a table of embeddings that lies in several pieces, as the files of the cache hold it."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import numpy.typing as npt
import torch
from torch import Tensor

Indices = npt.NDArray[np.int64]

# Where torch cannot multiply fp16 on the CPU: small enough to stay in the processor's cache as fp32.
_BLOCK = 1024


class Rows:
    """N rows of length D, float16, picked out of pieces that stay where they are (mostly maps of files).

    A piece may hold rows that are not of the table, and a row of the table may stand in it twice: what belongs to
    the table, and in which order, say the numbers.
    """

    def __init__(self, pieces: Sequence[Tensor], numbers: Indices | None = None) -> None:
        """Put pieces together.

        Args:
            pieces: [n_i, D] float16 each, at least one; one alone where they are not on the CPU.
            numbers: of each row of the table its number over all pieces, int64 [N]; None: all rows, as they come.
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
        """Products of a float16 vector [D] with every row, float32 [N]: rounded to float16 where torch does that."""
        products = [_product(piece, vector).cpu().numpy() for piece in self._pieces]
        values = np.concatenate(products).astype(np.float32)
        return values if self._numbers is None else values[self._numbers]

    def at(self, indices: Indices | Sequence[int]) -> Tensor:
        """The rows at `indices` [n], copied: float16 [n, D]."""
        indices = np.asarray(indices, dtype=np.int64)
        numbers = indices if self._numbers is None else self._numbers[indices]
        if len(self._pieces) == 1:
            return self._pieces[0].index_select(0, torch.from_numpy(numbers).to(self.device))
        rows = np.empty((len(numbers), self.width), dtype=np.float16)  # [n, D]
        homes = np.searchsorted(self._starts, numbers, side="right") - 1  # [n]
        for home in np.unique(homes).tolist():
            here = homes == home
            rows[here] = self._pieces[home].numpy()[numbers[here] - self._starts[home]]
        return torch.from_numpy(rows)

    def joined(self) -> Tensor:
        """All rows [N, D] in one tensor, without a copy where they lie like that."""
        if self._numbers is None:
            return self._pieces[0] if len(self._pieces) == 1 else torch.cat(self._pieces)
        return self.at(np.arange(len(self)))

    def to(self, device: torch.device) -> Rows:
        """These rows where they are, or as one tensor on another device."""
        return self if device == self.device else Rows([self.joined().to(device)])


def _product(rows: Tensor, vector: Tensor) -> Tensor:
    """`rows` [n, D] times `vector` [D], both float16."""
    try:
        return rows @ vector
    except RuntimeError:  # torch before 2.1 has no such product on the CPU
        return torch.cat([block.float() @ vector.float() for block in torch.split(rows, _BLOCK)])
