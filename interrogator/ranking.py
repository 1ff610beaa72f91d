"""Similarity and exact top-k over tables of embeddings: tensors only, no models or files."""

from __future__ import annotations

import math
from collections.abc import Sequence

import numpy as np
import numpy.typing as npt
import torch
from torch import Tensor

from .rows import Positions, Rows

# Similarities that differ by less than this are ties, broken by the order of the phrases. fp32 sums of about a
# thousand products vary by some 1e-7 with thread count and batch shape; a real bank spreads over about 1e-2.
TIE = 1e-6

# The cache accepts rows whose length is within 2 % of one.
_LONGEST_ROW = 1.02
# Largest relative error of one rounding to float16 and to float32.
_HALF, _SINGLE = 2.0**-11, 2.0**-24
# Accelerators may add partial sums in float16: a few roundings more.
_REDUCTIONS = 8
# Rows copied out at a time; this bounds memory.
_CHUNK = 4096
# Torch splits anything larger among threads, and waking them costs more than computing so few rows.
_UNSHARED_ELEMENTS = 32767


def similarities(embedding: Tensor, table: Tensor) -> Tensor:
    """Cosines of one embedding with every row of a table.

    Args:
        embedding: [D] unit vector, any float dtype.
        table: [N, D] unit rows, any float dtype, on any device.

    Returns:
        [N] float32 on the table's device.
    """
    return table.float() @ embedding.to(table.device).float()  # [N, D] @ [D] -> [N]


class Scores:
    """Cosines of one embedding with all rows of a table: float32 for the rows that matter, float16 for the rest.

    A float16 pass over all rows reads half the bytes and gives every cosine to within `bound`. Only rows that could
    then be among the best are computed in float32, so the selection is the one float32 cosines of all rows would give.

    Attributes:
        bound: the largest possible difference between a float16 cosine and the float32 one, damage to the rows on disk
            included that their sums do not show.
    """

    def __init__(self, embedding: Tensor, rows: Rows) -> None:
        """Compare an embedding [D] of any float dtype with unit rows [N, D]."""
        self._rows = rows
        self._embedding = embedding.detach().to(rows.device).float()  # [D]
        rounded = self._embedding.half()  # [D]
        self._rounded = rounded
        on_cpu = self._embedding.device.type == "cpu"
        self._block = max(_UNSHARED_ELEMENTS // rows.width, 1) if on_cpu else _CHUNK
        self._multiply()

    def _multiply(self) -> None:
        self._renewals = self._rows.renewals
        self._coarse, unseen = self._rows.checked_dots(self._rounded)  # [N] float32
        self._exact = np.full(len(self._rows), np.nan, dtype=np.float32)  # [N]: NaN until computed
        self._error = self._largest_error()
        self._unseen = unseen
        self.bound = self._error + unseen

    def __len__(self) -> int:
        return len(self._coarse)

    def __getitem__(self, position: int) -> float:
        """The float32 cosine of one row. Raises IndexError."""
        if not 0 <= position < len(self):
            raise IndexError(f"row {position} is out of range: the table has {len(self)} rows")
        known = float(self._exact[position])
        return float(self.at([position])[0]) if math.isnan(known) else known

    def at(self, positions: Positions | Sequence[int]) -> Tensor:
        """The float32 cosines of the rows at `positions` [n]: float32 [n] on the CPU.

        Computed row by row, not as one product, so that a row's value does not depend on which others are computed.
        """
        positions = np.asarray(positions, dtype=np.int64)
        new = positions[np.isnan(self._exact[positions])]
        for start in range(0, len(new), _CHUNK):
            chunk = new[start : start + _CHUNK]
            blocks = torch.split(self._rows.at(chunk), self._block)  # [b, D] float16 each
            cosines = [(block * self._embedding).sum(dim=-1) for block in blocks]  # fp16 times fp32 is fp32
            self._exact[chunk] = torch.cat(cosines).cpu().numpy()
            if self._rows.renewals != self._renewals:  # a row was damaged: what was computed from it goes
                self._multiply()
                return self.at(positions)
        return torch.from_numpy(self._exact[positions])

    @property
    def rough(self) -> npt.NDArray[np.float32]:
        """The cosines of all rows [N], each to within `bound`; read-only."""
        return self._coarse

    def tolist(self) -> list[float]:
        """The float32 cosines of all rows."""
        return [float(cosine) for cosine in self.at(np.arange(len(self))).tolist()]

    def highest(self, positions: Positions | Sequence[int], k: int) -> list[int]:
        """The `k` of `positions` [n] with the highest cosines, highest first; ties (`TIE`) keep the given order."""
        positions = np.asarray(positions, dtype=np.int64)
        k = min(k, len(positions))
        if k <= 0:
            return []
        coarse, renewals = self._coarse[positions], self._renewals  # [n]
        # k rows reach the k-th coarse value less the error; a row that ties with the k-th is at most another error,
        # what damage may have taken from it and a tie below that.
        least = np.partition(coarse, -k)[-k] - 2 * self._error - self._unseen - 2 * TIE
        contenders = positions[coarse >= least]  # [m]
        exact = self.at(contenders)  # [m]
        if self._renewals != renewals:
            return self.highest(positions, k)
        if np.abs(exact.numpy() - self._coarse[contenders]).max(initial=0) > self.bound:
            # The bound assumes products summed in float32. Hardware that sums otherwise costs time, not exactness.
            contenders, exact = positions, self.at(positions)
        chosen: list[int] = contenders[top_k(exact, k)].tolist()
        return chosen

    def _largest_error(self) -> float:
        """The largest possible difference between the products with the rounded embedding and the float32 ones.

        By Cauchy-Schwarz, rounding the embedding changes a product by at most the length of the rounding error. A
        float32 sum of D products is off by at most D roundings of the product of the lengths; that goes for both the
        coarse and the exact product. The coarse one is also rounded to float16 at the end.
        """
        exact = self._embedding.double()
        lost = float((exact - self._rounded.double()).norm()) * _LONGEST_ROW
        length = float(exact.norm() + lost) * _LONGEST_ROW
        sums = 2 * 1.01 * (len(exact) + 2) * _SINGLE * length
        reductions = 0.0 if self._embedding.device.type == "cpu" else _REDUCTIONS * _HALF * length
        largest = float(np.abs(self._coarse).max(initial=0))
        return lost + sums + reductions + 1.01 * _HALF * largest + _SINGLE


def top_k(scores: Tensor, k: int) -> list[int]:
    """The positions of the `k` highest of `scores` [N], highest first, ties (`TIE`) by ascending position.

    `torch.topk` guarantees no order among equals, and equals are common: lists hold phrases with identical tokens.
    """
    k = min(k, scores.numel())
    if k <= 0:
        return []
    values = scores.double().cpu()
    threshold = values.topk(k).values[-1]
    # Whatever ties with the k-th may come before it, so it is a contender too.
    contenders = torch.nonzero(values >= threshold - TIE).flatten()  # [M], ascending
    steps = torch.round(values[contenders] / TIE)  # equal steps are ties
    order = torch.sort(steps, descending=True, stable=True).indices
    positions: list[int] = contenders[order[:k]].tolist()
    return positions


def first_best(scores: Tensor) -> int:
    """The first position in `scores` [N] whose score is within `TIE` of the highest.

    Raises:
        ValueError: there are no scores.
    """
    if scores.numel() == 0:
        raise ValueError("no scores to choose from")
    values = scores.double().cpu()
    return int(torch.nonzero(values >= values.max() - TIE)[0])
