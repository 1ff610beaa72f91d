"""Token ids that are kept beside the rows of a list, so that a start reads no phrase."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Protocol, runtime_checkable

import numpy as np
import numpy.typing as npt


@runtime_checkable
class KeepsTokens(Protocol):
    """An encoder whose token ids can be kept and given back."""

    def token_ids(self, texts: Sequence[str]) -> tuple[npt.NDArray[np.int32], npt.NDArray[np.int64]]:
        """The tokens of texts without start and end: ids int32 [T] in one row, and where each text ends, int64 [N]."""
        ...

    def remember_tokens(self, texts: Sequence[str], ids: npt.NDArray[np.int32], ends: npt.NDArray[np.int64]) -> None:
        """Take ids as `token_ids` gave them once, so that these texts are not read again."""
        ...


def tokens_at(
    indices: npt.NDArray[np.int64], ids: npt.NDArray[np.int32], ends: npt.NDArray[np.int64]
) -> tuple[npt.NDArray[np.int32], npt.NDArray[np.int64]]:
    """Of ids and ends of N texts those of the texts at `indices` [n], in that order: int32 [t], int64 [n]."""
    starts = np.concatenate([[0], ends[:-1]])[indices]  # [n]
    lengths = ends[indices] - starts  # [n]
    chosen = np.cumsum(lengths)  # [n]
    within = np.arange(lengths.sum()) - np.repeat(chosen - lengths, lengths)  # [t]: which token of its text
    return ids[np.repeat(starts, lengths) + within], chosen
