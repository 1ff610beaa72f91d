"""Rows: a table of embeddings stored in several pieces, as in the files of the cache."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field

import numpy as np
import numpy.typing as npt
import torch
from torch import Tensor

from .row_sums import RowSums
from .threads import Lock

Positions = npt.NDArray[np.int64]

# For torch versions that cannot multiply fp16 on the CPU: as fp32, so many rows stay in the processor's cache.
_BLOCK = 1024


@dataclass(frozen=True, eq=False)
class _Layout:
    """What a table is made of; replaced as a whole, so that threads see one or the other."""

    pieces: list[Tensor]
    starts: Positions  # [P + 1]
    numbers: Positions | None
    sums: list[RowSums | None]  # of each piece; None if nothing has to be proved
    proved: set[int] = field(default_factory=set)  # pieces all of whose rows have been

    def unproved(self) -> list[tuple[int, RowSums]]:
        return [(home, sums) for home, sums in enumerate(self.sums) if sums is not None and home not in self.proved]


class Rows:
    """N rows of length D, float16, selected from pieces that stay where they are (mostly memory-mapped files).

    A piece may hold rows that the table does not use, and the table may use a row twice: `numbers` says which rows
    belong to the table, and in which order. Rows with checksums are proved before they are returned; once one is
    damaged, the table is made anew.

    Attributes:
        renewals: how often that has happened: products from before may be wrong.
    """

    def __init__(
        self,
        pieces: Sequence[Tensor],
        numbers: Positions | None = None,
        sums: Sequence[RowSums | None] = (),
        renew: Callable[[], Rows] | None = None,
    ) -> None:
        """Put pieces together.

        Args:
            pieces: [n_i, D] float16 each, at least one; exactly one unless they are on the CPU.
            numbers: for each row of the table its row number counted over all pieces, int64 [N]; None takes all rows
                in order.
            sums: the checksums of each piece, which is on the CPU; none by default.
            renew: makes the table once a row is damaged, out of rows that are not; needed with `sums`.
        """
        starts = np.cumsum([0, *map(len, pieces)])
        total = int(starts[-1])
        if numbers is not None and len(numbers) == total and bool((numbers == np.arange(total)).all()):
            numbers = None
        known = list(sums) or [None] * len(pieces)
        self._layout = _Layout([piece.detach() for piece in pieces], starts, numbers, known)
        self._renew = renew
        self._lock = Lock()
        self.renewals = 0

    def __len__(self) -> int:
        layout = self._layout
        return int(layout.starts[-1]) if layout.numbers is None else len(layout.numbers)

    def __reduce__(self) -> tuple[type[Rows], tuple[list[Tensor], Positions | None]]:
        self.prove()  # a copy has no files to go back to
        return Rows, (self._layout.pieces, self._layout.numbers)

    @property
    def device(self) -> torch.device:
        """Where the rows are."""
        return self._layout.pieces[0].device

    @property
    def width(self) -> int:
        """D, the length of a row."""
        return int(self._layout.pieces[0].shape[1])

    def dots(self, vector: Tensor) -> npt.NDArray[np.float32]:
        """Products of a float16 vector [D] with every row, float32 [N]; rounded to float16 where torch rounds them."""
        return self.checked_dots(vector)[0]

    def checked_dots(self, vector: Tensor) -> tuple[npt.NDArray[np.float32], float]:
        """`dots`, and how far damage to rows that was not seen can move one; 0 where nothing has to be proved."""
        layout = self._layout
        products = [_product(piece, vector).float().cpu().numpy() for piece in layout.pieces]
        unseen = 0.0
        for home, sums in layout.unproved():
            suspects, off = sums.suspects(vector, products[home])
            unseen = max(unseen, off)
            if len(suspects) and len(sums.wrong(_at(layout.pieces[home], suspects), suspects)):
                self._make_anew(layout)
                return self.checked_dots(vector)
            if sums.blocks is None:
                layout.proved.add(home)
        values = np.concatenate(products)
        return (values if layout.numbers is None else values[layout.numbers]), unseen

    def at(self, positions: Positions | Sequence[int]) -> Tensor:
        """The rows at `positions` [n], copied: float16 [n, D]."""
        positions = np.asarray(positions, dtype=np.int64)
        layout = self._layout
        numbers = positions if layout.numbers is None else layout.numbers[positions]
        if len(layout.pieces) == 1:
            rows = _at(layout.pieces[0], numbers)
            sums = layout.sums[0]
            whole = sums is None or 0 in layout.proved or not len(sums.wrong(rows, numbers))
        else:
            rows = torch.empty(len(numbers), self.width, dtype=torch.float16)  # [n, D]
            homes = np.searchsorted(layout.starts, numbers, side="right") - 1  # [n]
            whole = True
            for home in np.unique(homes).tolist():
                here = np.flatnonzero(homes == home)
                local, sums = numbers[here] - layout.starts[home], layout.sums[home]
                own = _at(layout.pieces[home], local)
                rows[torch.from_numpy(here)] = own
                whole &= sums is None or home in layout.proved or not len(sums.wrong(own, local))
        if whole:
            return rows
        self._make_anew(layout)
        return self.at(positions)

    def prove(self) -> None:
        """Check every row against its checksum; a table with a damaged one is made anew."""
        layout = self._layout
        for home, sums in layout.unproved():
            if len(sums.wrong_of_all(layout.pieces[home])):
                self._make_anew(layout)
                return
            layout.proved.add(home)

    def joined(self) -> Tensor:
        """All rows [N, D] as one tensor, proved; copied only if they are not one already."""
        self.prove()
        layout = self._layout
        if layout.numbers is None:
            return layout.pieces[0] if len(layout.pieces) == 1 else torch.cat(layout.pieces)
        numbers, first = layout.numbers, int(layout.numbers[0]) if len(layout.numbers) else 0
        if len(layout.pieces) == 1 and bool((numbers == np.arange(first, first + len(numbers))).all()):
            return layout.pieces[0][first : first + len(numbers)]
        return self.at(np.arange(len(self)))

    def to(self, device: torch.device) -> Rows:
        """The rows on `device`: unchanged if they are there, else proved and copied as one tensor."""
        return self if device == self.device else Rows([self.joined().to(device)])

    def _make_anew(self, damaged: _Layout) -> None:
        with self._lock:
            if self._layout is not damaged:  # another thread has done it
                return
            if self._renew is None:
                raise AssertionError("rows with checksums need a way to make them anew")
            fresh = self._renew()
            fresh.prove()
            layout = fresh._layout
            self._layout = _Layout(layout.pieces, layout.starts, layout.numbers, [None] * len(layout.pieces))
            self.renewals += 1


def _at(rows: Tensor, positions: Positions) -> Tensor:
    """The rows [n, D] at `positions` [n], copied."""
    return rows.index_select(0, torch.from_numpy(positions).to(rows.device))


def _product(rows: Tensor, vector: Tensor) -> Tensor:
    """`rows` [n, D] times `vector` [D], both float16."""
    try:
        return rows @ vector
    except RuntimeError:  # torch before 2.1 has no fp16 product on the CPU
        return torch.cat([block.float() @ vector.float() for block in torch.split(rows, _BLOCK)])
