"""Similarity and top-k over tables of embeddings: tensors only, no models, no files."""

from __future__ import annotations

import math
from collections.abc import Sequence

import numpy as np
import torch
from torch import Tensor

from .rows import Indices, Rows

# Similarities that differ by less are ties, broken by the order of the phrases. fp32 sums of about a thousand
# products differ by some 1e-7 between thread counts and batch shapes; the spread of a real bank is about 1e-2.
TIE = 1e-6

# Rows are of length one within 2 %: what the cache takes as a row.
_LONGEST_ROW = 1.02
# Largest relative error of one rounding to float16 and to float32.
_HALF, _SINGLE = 2.0**-11, 2.0**-24
# Accelerators may add partial sums in float16: a few roundings more.
_REDUCTIONS = 8
# Rows that are copied out at a time, which bounds memory.
_CHUNK = 4096
# Torch shares larger work among threads, and waking them costs more than so few rows.
_UNSHARED_ELEMENTS = 32767


def similarities(embedding: Tensor, table: Tensor) -> Tensor:
    """Cosine of one embedding with every row of a table.

    Args:
        embedding: [D] unit vector, any float dtype.
        table: [N, D] unit rows, any float dtype, on any device.

    Returns:
        [N] float32 on the table's device.
    """
    return table.float() @ embedding.to(table.device).float()  # [N, D] @ [D] -> [N]


class Scores:
    """Cosines of one embedding with all rows of a table: float32 where somebody looks, float16 for the rest.

    A float16 pass over all rows reads half the bytes and says of every row what its cosine is to within `bound`.
    Only rows that may be among the best by that are computed in float32, so the choice is the one that float32
    cosines of all rows would make.

    Attributes:
        bound: how far a float16 cosine lies from the float32 one at most.
    """

    def __init__(self, embedding: Tensor, rows: Rows) -> None:
        """Compare an embedding [D] of any float dtype with unit rows [N, D]."""
        self._rows = rows
        self._embedding = embedding.detach().to(rows.device).float()  # [D]
        rounded = self._embedding.half()  # [D]
        self._coarse = rows.dots(rounded)  # [N] float32
        on_cpu = self._embedding.device.type == "cpu"
        self._block = max(_UNSHARED_ELEMENTS // rows.width, 1) if on_cpu else _CHUNK
        self._exact = np.full(len(rows), np.nan, dtype=np.float32)  # [N]: those that somebody looked at
        self.bound = self._error(rounded)

    def __len__(self) -> int:
        return len(self._coarse)

    def __getitem__(self, index: int) -> float:
        """The float32 cosine of one row. Raises IndexError."""
        if not 0 <= index < len(self):
            raise IndexError(f"no row {index} among {len(self)}")
        known = float(self._exact[index])
        return float(self.at([index])[0]) if math.isnan(known) else known

    def at(self, indices: Indices | Sequence[int]) -> Tensor:
        """The float32 cosines of the rows at `indices` [n]: float32 [n] on the CPU.

        Row by row, not as one product: the value of a row does not depend on the rows it is asked with.
        """
        indices = np.asarray(indices, dtype=np.int64)
        new = indices[np.isnan(self._exact[indices])]
        for start in range(0, len(new), _CHUNK):
            chunk = new[start : start + _CHUNK]
            blocks = torch.split(self._rows.at(chunk), self._block)  # [b, D] float16 each
            cosines = [(block * self._embedding).sum(dim=-1) for block in blocks]  # fp16 times fp32 is fp32
            self._exact[chunk] = torch.cat(cosines).cpu().numpy()
        return torch.from_numpy(self._exact[indices])

    def tolist(self) -> list[float]:
        """The float32 cosines of all rows."""
        return [float(cosine) for cosine in self.at(np.arange(len(self))).tolist()]

    def highest(self, indices: Indices | Sequence[int], k: int) -> list[int]:
        """The `k` of `indices` [n] with the highest cosines, highest first, ties (`TIE`) in the order of `indices`."""
        return self._best(np.asarray(indices, dtype=np.int64), k, sign=1)

    def lowest(self, indices: Indices | Sequence[int], k: int) -> list[int]:
        """The `k` of `indices` [n] with the lowest cosines, lowest first, ties (`TIE`) in the order of `indices`."""
        return self._best(np.asarray(indices, dtype=np.int64), k, sign=-1)

    def _best(self, indices: Indices, k: int, sign: int) -> list[int]:
        k = min(k, len(indices))
        if k <= 0:
            return []
        coarse = sign * self._coarse[indices]  # [n]
        # k rows are at least this less the bound; what may tie with the k-th is at most a bound and a tie below that.
        least = np.partition(coarse, -k)[-k] - 2 * self.bound - 2 * TIE
        contenders = indices[coarse >= least]  # [m]
        exact = self.at(contenders)  # [m]
        if np.abs(exact.numpy() - self._coarse[contenders]).max(initial=0) > self.bound:
            # The proof holds for products summed in float32. Hardware that does otherwise costs time, not exactness.
            contenders, exact = indices, self.at(indices)
        chosen: list[int] = contenders[top_k(sign * exact, k)].tolist()
        return chosen

    def _error(self, rounded: Tensor) -> float:
        """How far the products with `rounded` [D] float16 lie from float32 ones at most.

        By Cauchy-Schwarz the rounding of the embedding moves a product by at most the length of what was rounded off.
        A float32 sum of D products is off by at most D roundings of the lengths' product, and both kinds are such
        sums. The coarse one is rounded to float16 at the end.
        """
        exact = self._embedding.double()
        lost = float((exact - rounded.double()).norm()) * _LONGEST_ROW
        length = float(exact.norm() + lost) * _LONGEST_ROW
        sums = 2 * 1.01 * (len(exact) + 2) * _SINGLE * length
        reductions = 0.0 if self._embedding.device.type == "cpu" else _REDUCTIONS * _HALF * length
        largest = float(np.abs(self._coarse).max(initial=0))
        return lost + sums + reductions + 1.01 * _HALF * largest + _SINGLE


def top_k(scores: Tensor, k: int) -> list[int]:
    """The indices of the `k` highest of `scores` [N], highest first, ties (`TIE`) in the order of their indices.

    `torch.topk` promises no order among equals, and equals are common: lists hold phrases whose tokens are the same.
    """
    k = min(k, scores.numel())
    if k <= 0:
        return []
    values = scores.double().cpu()
    threshold = values.topk(k).values[-1]
    # Whatever ties with the last may be the rightful one, so it is a contender too.
    contenders = torch.nonzero(values >= threshold - TIE).flatten()  # [M], ascending
    steps = torch.round(values[contenders] / TIE)  # equal steps are ties
    order = torch.sort(steps, descending=True, stable=True).indices
    indices: list[int] = contenders[order[:k]].tolist()
    return indices


def first_best(scores: Tensor) -> int:
    """The first index of `scores` [N] that is within `TIE` of the highest.

    Raises:
        ValueError: there are no scores.
    """
    if scores.numel() == 0:
        raise ValueError("no scores to choose from")
    values = scores.double().cpu()
    return int(torch.nonzero(values >= values.max() - TIE)[0])
