"""Intervals by the bootstrap: what a figure would be on other pictures of the same kind (Efron 1979, percentiles)."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

RESAMPLES = 1000
_QUANTILES = (0.025, 0.975)


@dataclass(frozen=True)
class Estimate:
    """A figure with its 95 % interval."""

    value: float
    low: float
    high: float

    @classmethod
    def of(cls, parts: Sequence[float], wholes: Sequence[float] | None = None) -> Estimate:
        """The mean of a number for each picture, or the sum of the parts by the sum of the wholes.

        The same numbers give the same interval. Where all wholes are 0, the figure is 0.

        Args:
            parts: one for each picture, at least one.
            wholes: of each picture; None is 1 for each.
        """
        above = np.asarray(parts, dtype=np.float64)
        below = np.ones_like(above) if wholes is None else np.asarray(wholes, dtype=np.float64)
        rng = np.random.default_rng(0)
        values = []
        for _ in range(RESAMPLES):
            chosen = rng.integers(len(above), size=len(above))
            values.append(_share(above[chosen].sum(), below[chosen].sum()))
        low, high = np.quantile(values, _QUANTILES)
        return cls(_share(above.sum(), below.sum()), float(low), float(high))

    def __str__(self) -> str:
        return f"{self.value:.4g} ({self.low:.4g} to {self.high:.4g})"


def _share(part: float, whole: float) -> float:
    return float(part / whole) if whole else 0.0
