"""PhraseEvidence: the odds of every phrase of a table, and from which odds on they are accepted."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import numpy.typing as npt

from ..errors import ModelError
from ..rows import Positions, Rows
from .calibration import Calibration, Values, lower_quartile
from .logistic import log_odds, sigmoid

# Log odds are counted in steps this fine and up to this far: a probability is right to within half a percent.
_STEP, _MOST = 0.02, 20.0
_BINS = round(2 * _MOST / _STEP) + 1
_CENTERS = np.linspace(-_MOST, _MOST, _BINS)
# Rows compared with the references at a time; this bounds memory.
_CHUNK = 4096
_EM_STEPS = 100
# How likely a phrase of a prompt may be false, in units of the strictness: what keeps as many facts as possible with
# 98 % of the phrases true (benchmark `truth`).
_MOST_DOUBT = 4.0

USUAL = 0.5
"""A phrase that holds for more of the references than this, and than captions claim of them, tells nothing of one."""

Counts = npt.NDArray[np.int64]


class PhraseEvidence:
    """Prior odds and bias of the phrases of a table, from the references of a calibration.

    The likelihood ratio of a similarity says what to believe of a phrase that is as likely true as false; of a bank
    of thousands, few are true. How many is estimated for each bank by expectation maximisation over the references
    (Saerens, Latinne and Decaestecker 2002).
    """

    def __init__(
        self, calibration: Calibration, rows: Rows, groups: Sequence[Positions], own: Values | None = None,
        unstated: Positions | None = None,
    ) -> None:  # fmt: skip
        """Compare all phrases with the references.

        Args:
            calibration: of the encoder that made the rows.
            rows: the table [N, D].
            groups: positions of the phrases of each bank; other phrases are never accepted.
            own: similarities [N] of one picture, which stands in where the calibration has no references.
            unstated: positions of phrases that are never accepted, but may be asked for by `log_ratio`.

        Raises ModelError: a row is not finite.
        """
        self.calibration = calibration
        self._bias = np.zeros(len(rows), dtype=np.float32)  # [N]
        self._prior = np.full(len(rows), -np.inf, dtype=np.float32)  # [N] log odds
        self._usual = np.zeros(len(rows), dtype=np.bool_)  # [N]
        self._share = np.zeros(len(rows), dtype=np.float32)  # [N]
        counts = []
        for positions in groups:
            found = self._compare(rows, positions, own)
            prior = _prior(found, calibration.claim_rate) if len(calibration.references) else 0.0
            self._prior[positions] = prior
            counts.append(_shifted(found, prior))
        if unstated is not None:
            self._compare(rows, unstated, None)
        self._accepted = np.sum(counts, axis=0) if counts else np.zeros(_BINS, dtype=np.int64)

    def log_odds(self, similarity: Values, positions: Positions) -> Values:
        """Log odds [n] that the phrases at `positions` [n] are true of an image with these similarities [n]."""
        odds: Values = self.log_ratio(similarity, positions) + self._prior[positions]
        return odds

    def log_ratio(self, similarity: Values, positions: Positions) -> Values:
        """Their log likelihood ratios [n]: the log odds, were each as likely true as false beforehand."""
        return self.calibration.log_ratio(similarity, self._bias[positions])

    def share(self, positions: Positions) -> Values:
        """The share [n] of the references of which the phrases at `positions` [n] are likely true."""
        found: Values = self._share[positions]
        return found

    def level(self, strictness: float) -> float:
        """The log odds from which on, over the references, the share `strictness` of the phrases is false.

        Infinite where no phrase holds.
        """
        wrong = (1 - sigmoid(_CENTERS)) * self._accepted
        numbers, falses = np.cumsum(self._accepted[::-1]), np.cumsum(wrong[::-1])
        allowed = (numbers > 0) & (falses <= strictness * numbers)
        if not allowed.any():
            return float("inf")
        return float(_CENTERS[::-1][np.flatnonzero(allowed)[-1]] - _STEP / 2)

    def least(self, strictness: float) -> float:
        """The log odds from which on a prompt may state a phrase.

        Those of `level`, but a phrase of a prompt is never likelier false than four times the strictness, nor than
        true: most of what is accepted is all but certain, so a share of 5 % would let in what is mostly false. Without
        references nothing is known of shares, and that it is no likelier false than true is all.
        """
        if not len(self.calibration.references):
            return 0.0
        return max(self.level(strictness), log_odds(1 - min(_MOST_DOUBT * strictness, 0.5)))

    def candidates(self, rough: Values, error: float, least: float) -> Positions:
        """Positions of the phrases that may reach log odds `least` and say something of a picture.

        Args:
            rough: similarities [N].
            error: the largest error of these.
        """
        odds = self.calibration.log_ratio(rough + error, self._bias) + self._prior
        return np.flatnonzero((odds >= least) & ~self._usual)

    def _compare(self, rows: Rows, positions: Positions, own: Values | None) -> Counts:
        """Fill in bias and usualness of a bank's phrases; returns how often each step of log likelihood ratio is."""
        total = np.zeros(_BINS, dtype=np.int64)
        calibration = self.calibration
        if not len(calibration.references):
            return total if own is None else _counted(calibration.log_ratio(own[positions], self._bias[positions]))
        usual = max(USUAL, calibration.most_claimed)
        for start in range(0, len(positions), _CHUNK):
            chunk = positions[start : start + _CHUNK]
            similarity = calibration.similarity(rows.at(chunk))  # [R, n]
            if not np.isfinite(similarity).all():
                raise ModelError("the encoder gave an embedding that is not finite, so there is no evidence")
            if calibration.bias_weight:
                self._bias[chunk] = lower_quartile(similarity)
            ratio = calibration.log_ratio(similarity, self._bias[chunk])
            self._share[chunk] = (ratio > 0).mean(axis=0)
            self._usual[chunk] = self._share[chunk] > usual
            # A phrase that holds for most references is never stated, so it does not count either.
            total += _counted(ratio[:, ~self._usual[chunk]])
        return total


def probabilities(odds: Values) -> list[float]:
    """Probabilities of log odds [n]."""
    return [float(each) for each in sigmoid(odds)]


def _counted(ratio: Values) -> Counts:
    """How often log odds, of any shape, fall on each step."""
    numbers = np.rint((np.clip(ratio, -_MOST, _MOST) + _MOST) / _STEP).astype(np.int64)
    return np.bincount(numbers.ravel(), minlength=_BINS)


def _prior(counts: Counts, start: float) -> float:
    """Prior log odds of the phrases of a bank, from how often each log likelihood ratio is among them."""
    total = int(counts.sum())
    if not total:
        return -float("inf")
    prior = log_odds(start)
    for _ in range(_EM_STEPS):
        share = float((sigmoid(_CENTERS + prior) * counts).sum()) / total
        after = log_odds(max(share, 1e-6))
        if abs(after - prior) < 1e-4:
            break
        prior = after
    return prior


def _shifted(counts: Counts, odds: float) -> Counts:
    """Counts of log likelihood ratios as counts of log odds, given the prior log odds."""
    if not np.isfinite(odds):
        return np.zeros(_BINS, dtype=np.int64)
    moved = np.clip(np.arange(_BINS) + round(odds / _STEP), 0, _BINS - 1)
    return np.bincount(moved, weights=counts, minlength=_BINS).astype(np.int64)
