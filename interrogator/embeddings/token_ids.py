"""Token ids saved beside the rows of a list, so that the next start tokenises no phrase."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Protocol, runtime_checkable

import numpy as np
import numpy.typing as npt


@runtime_checkable
class TokenCache(Protocol):
    """An encoder that exports its token ids and accepts them back."""

    def token_ids(self, texts: Sequence[str]) -> tuple[npt.NDArray[np.int32], npt.NDArray[np.int64]]:
        """Ids of texts without start and end tokens: concatenated, int32 [T], and where each text ends, int64 [N]."""
        ...

    def remember_tokens(self, texts: Sequence[str], ids: npt.NDArray[np.int32], ends: npt.NDArray[np.int64]) -> None:
        """Accept ids that `token_ids` returned earlier, so that these texts are not tokenised again."""
        ...


def tokens_at(
    positions: npt.NDArray[np.int64], ids: npt.NDArray[np.int32], ends: npt.NDArray[np.int64]
) -> tuple[npt.NDArray[np.int32], npt.NDArray[np.int64]]:
    """The ids and ends of the texts at `positions` [n], out of those of N texts: int32 [t], int64 [n]."""
    starts = np.concatenate([[0], ends[:-1]])[positions]  # [n]
    lengths = ends[positions] - starts  # [n]
    chosen = np.cumsum(lengths)  # [n]
    within = np.arange(lengths.sum()) - np.repeat(chosen - lengths, lengths)  # [t]: index of each token in its text
    return ids[np.repeat(starts, lengths) + within], chosen
