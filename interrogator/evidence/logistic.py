"""Logistic regression by Newton's method, in NumPy."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

Floats = npt.NDArray[np.float64]

# Keeps the weights finite where the two kinds can be told apart without an error.
_RIDGE = 1e-3
_MOST_STEPS = 60
_CONVERGED = 1e-6
# Of `fit_claimed`: rounds, steps of Newton's method in each, and the change of a weight from which on it has settled.
_MOST_ROUNDS, _STEPS_A_ROUND, _SETTLED = 400, 3, 2e-3
# How likely a caption claims what is true, and what is false, to begin with.
_CLAIMED = 0.8, 1e-3


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
    numbers = np.where(true, 1 / positives, 1 / negatives) * min(positives, negatives)
    targets = np.where(true, (positives + 1) / (positives + 2), 1 / (negatives + 2))
    return _regressed(_padded(features), targets, numbers, np.zeros(features.shape[1] + 1), _MOST_STEPS)


def fit_claimed(features: Floats, claimed: npt.NDArray[np.bool_], numbers: Floats) -> tuple[Floats, float]:
    """The log likelihood ratio of true against false, where only what is claimed is known, and the share of it.

    Captions have mistakes, and leave out much that is true: whether something is claimed of a picture says only how
    likely it is true of it. How likely is estimated along with the regression, by expectation maximisation (robust
    logistic regression, Bootkrajang and Kaban 2012). Every example counts as often as it is there, so the fit is best
    where true and false ones are equally many, which is where it is decided what is true.

    Args:
        features: [n, F], each greater where more is true.
        claimed: [n], with at least one of either kind.
        numbers: how often each example is there, [n].

    Returns:
        Weights and, last, the intercept [F + 1]; and the share of true ones among those claimed.
    """
    padded = _padded(features)
    total, number = float(numbers.sum()), float((numbers * claimed).sum())
    least, most = 1 / (total + 2), 1 - 1 / (number + 2)  # as in `fit`: a few examples make no certainty
    found = _regressed(padded, np.where(claimed, most, least), numbers, np.zeros(padded.shape[1]), _MOST_STEPS)
    of_true, of_false = _CLAIMED  # how likely what is true, and what is false, is claimed
    for _ in range(_MOST_ROUNDS):
        odds = np.where(claimed, np.log(of_true / of_false), np.log((1 - of_true) / (1 - of_false)))
        likely = sigmoid(padded @ found + odds)
        of_true = float(np.clip((numbers * likely * claimed).sum() / (numbers * likely).sum(), 0.01, 1 - 1e-4))
        of_false = float(np.clip((numbers * (1 - likely) * claimed).sum() / (numbers * (1 - likely)).sum(), 1e-7, 0.5))
        likely = np.clip(likely, least, most)
        after = _regressed(padded, likely, numbers, found, _STEPS_A_ROUND)
        change, found = float(np.abs(after - found).max()), after
        if change < _SETTLED:
            break
    share = float((numbers * likely).sum()) / total
    found[-1] -= log_odds(share)
    return found, float((numbers * likely * claimed).sum()) / number


def _padded(features: Floats) -> Floats:
    return np.column_stack([features, np.ones(len(features))])  # [n, F + 1]


def _regressed(padded: Floats, targets: Floats, numbers: Floats, start: Floats, steps: int) -> Floats:
    """Weights [F + 1] by Newton's method, for examples of which there are `numbers` [n]."""
    ridge = np.diag([_RIDGE] * (padded.shape[1] - 1) + [_RIDGE * 1e-3])
    found = start
    for _ in range(steps):
        likely = sigmoid(padded @ found)
        slope = padded.T @ (numbers * (likely - targets)) + ridge @ found
        curve = (padded * (numbers * likely * (1 - likely))[:, None]).T @ padded + ridge
        step = np.linalg.solve(curve, slope)
        found = found - step
        if np.abs(step).max() < _CONVERGED:
            break
    return found
