"""Logistic regression by Newton's method, in NumPy."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

Floats = npt.NDArray[np.float64]

# Keeps the weights finite where the two kinds can be told apart without an error.
_RIDGE = 1e-3
_MOST_STEPS = 60
_CONVERGED = 1e-6


def sigmoid(values: npt.NDArray[np.floating]) -> Floats:
    """Probabilities of log odds, of any shape."""
    odds: Floats = 1.0 / (1.0 + np.exp(-np.clip(np.asarray(values, dtype=np.float64), -50.0, 50.0)))
    return odds


def log_odds(probability: float) -> float:
    """The log odds of a probability, which is kept away from 0 and 1."""
    kept = min(max(probability, 1e-9), 1.0 - 1e-9)
    return float(np.log(kept / (1.0 - kept)))


def fit(features: Floats, true: npt.NDArray[np.bool_]) -> Floats:
    """Weights and, last, the intercept [F + 1] of the log likelihood ratio of true against false.

    The two kinds count alike, however many there are of each: prior odds are added elsewhere. The targets are those
    of Platt (1999), so that a few examples make no certainty.

    Args:
        features: [n, F].
        true: [n], with at least one of either kind.
    """
    positives, negatives = int(true.sum()), int((~true).sum())
    targets = np.where(true, (positives + 1) / (positives + 2), 1 / (negatives + 2))
    weights = np.where(true, 1 / positives, 1 / negatives) * min(positives, negatives)
    padded = np.column_stack([features, np.ones(len(features))])  # [n, F + 1]
    ridge = np.diag([_RIDGE] * features.shape[1] + [_RIDGE * 1e-3])
    found = np.zeros(padded.shape[1])
    for _ in range(_MOST_STEPS):
        likely = sigmoid(padded @ found)
        slope = padded.T @ (weights * (likely - targets)) + ridge @ found
        curve = (padded * (weights * likely * (1 - likely))[:, None]).T @ padded + ridge
        step = np.linalg.solve(curve, slope)
        found = found - step
        if np.abs(step).max() < _CONVERGED:
            break
    return found
