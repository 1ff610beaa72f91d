"""Calibration: an encoder's similarities made into odds that a text is true of an image.

Known truth comes for free with captions: what the caption of a reference image claims is mostly true of it, and what
captions of the other images claim is mostly false. A logistic regression on the similarity, which reckons with the
mistakes of captions and with what they leave out, gives the log likelihood ratio. Texts of real encoders differ in how
similar they are to every image, so the regression may also take off a text's bias, its lower quartile of similarity
over the references; where that does not help, as in an encoder without hubs, it gets no weight.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
import torch
from torch import Tensor

from ..errors import ModelError, RequestError
from .logistic import fit_claimed, sigmoid
from .words import claims_of

MIN_REFERENCES = 20
"""Fewer reference images with captions than this say too little."""
MAX_REFERENCES = 512
"""References used at most: more change the result by less than its error, and cost time for every table."""

_QUARTILE = 0.25
# Log odds that a phrase of median similarity is false, where there is nothing to learn it from: one in 3,000 is true.
_MEDIAN_ODDS = 8.0
# Captions belong to their images if what they claim is more similar by this many standard errors, and at least this
# share of it is true.
_STANDARD_ERRORS, _LEAST_TRUE = 4.0, 0.3
_DO_NOT_BELONG = (
    "what the captions claim is no more similar to their images than what others claim: check that the captions belong"
    " to the images"
)
# Pairs of an image and a claim of another that are learned from.
_MOST_SIMILAR, _REST = 8192, 24576

Values = npt.NDArray[np.float32]


@dataclass(frozen=True, eq=False)
class Calibration:
    """What turns similarities of one encoder into log odds.

    Attributes:
        references: image embeddings [R, D], float16 on the CPU; R is 0 for a calibration of one picture.
        slope: log odds for each unit of similarity.
        bias_weight: log odds for each unit of a text's bias; at most 0.
        intercept: log odds at similarity and bias 0.
        claim_rate: share of pairs of a reference and a claim in which the claim is the reference's own.
        most_claimed: share of the references whose captions have the most frequent claim.
    """

    references: Tensor
    slope: float
    bias_weight: float
    intercept: float
    claim_rate: float
    most_claimed: float

    @classmethod
    def of(
        cls, references: Tensor, captions: Sequence[str], encode: Callable[[Sequence[str]], Tensor]
    ) -> Calibration:  # fmt: skip
        """Learn from reference images.

        Args:
            references: their embeddings [R, D], unit rows; the first `MAX_REFERENCES` count.
            captions: of each; those without claims do not count.
            encode: unit rows [N, D] of texts, by the same encoder.

        Raises:
            RequestError: fewer than `MIN_REFERENCES` captions with claims, or all captions claim the same.
            ModelError: an embedding is not finite.
        """
        claims = [claims_of(caption) for caption in captions]
        used = [number for number, each in enumerate(claims) if each][:MAX_REFERENCES]
        texts = list(dict.fromkeys(text for number in used for text in claims[number]))
        number_of = {text: number for number, text in enumerate(texts)}
        own = [np.array([number_of[text] for text in claims[number]], dtype=np.int64) for number in used]
        return cls.of_claims(references[used], encode(texts) if texts else references[:0], own)

    @classmethod
    def of_claims(cls, references: Tensor, claims: Tensor, own: Sequence[npt.NDArray[np.int64]]) -> Calibration:
        """Learn from reference images and what their captions claim, some of which may be false.

        Args:
            references: embeddings of the images [R, D], unit rows.
            claims: those of the claims [C, D], each text once.
            own: for each image the positions of its own claims.

        Raises as `of`.
        """
        if len(references) < MIN_REFERENCES:
            raise RequestError(
                f"evidence needs at least {MIN_REFERENCES} reference images with captions, not {len(references)}:"
                " give more"
            )
        rows = references.detach().float().cpu().half()  # rounded as they are kept
        claimed = np.zeros((len(rows), len(claims)), dtype=np.bool_)  # [R, C]
        for row, numbers in enumerate(own):
            claimed[row, numbers] = True
        if claimed.all():
            raise RequestError("all captions of the reference images claim the same: give captions that differ")
        similarity = (rows.float() @ claims.float().cpu().T).numpy()  # [R, C]
        if not np.isfinite(similarity).all():
            raise ModelError("the encoder gave an embedding that is not finite, so there is no evidence")
        slope, weight, intercept = _fitted(similarity, claimed)
        return cls(rows, slope, weight, intercept, float(claimed.mean()), float(claimed.mean(axis=0).max()))

    @classmethod
    def of_picture(cls, claims: Values, phrases: Values, width: int) -> Calibration | None:
        """The fallback where there are no references: a picture's own claims against all phrases, mostly false.

        A rule of thumb: a phrase as similar as the lower quartile of the claims is as likely true as false, and one
        of median similarity is false. None where the claims are no more similar than the phrases.

        Args:
            claims: similarity of the picture and each claim of its caption, [C], at least one.
            phrases: similarity of the picture and each phrase of the banks, [N], at least one.
            width: D, the length of an embedding.
        """
        level, usual = float(np.quantile(claims, _QUARTILE)), float(np.median(phrases))
        if not level > usual:
            return None
        slope = _MEDIAN_ODDS / (level - usual)
        return cls(torch.zeros(0, width).half(), slope, 0.0, -slope * level, 0.5, 1.0)

    def bias(self, rows: Tensor) -> Values:
        """The bias of texts with unit rows [N, D]: [N]."""
        if not len(self.references) or not self.bias_weight:
            return np.zeros(len(rows), dtype=np.float32)
        return lower_quartile(self.similarity(rows))

    def similarity(self, rows: Tensor) -> Values:
        """Similarities [R, N] of the references and texts with unit rows [N, D]."""
        found: Values = (self.references.float() @ rows.float().cpu().T).numpy()
        return found

    def log_ratio(self, similarity: Values, bias: Values) -> Values:
        """Log likelihood ratios of true against false, of any shape: the odds of a text as likely true as false."""
        found: Values = (self.slope * similarity + self.bias_weight * bias + self.intercept).astype(np.float32)
        return found

    def probability(self, similarity: Values, rows: Tensor, odds: float = 0.0) -> npt.NDArray[np.float64]:
        """How likely texts [N] with unit rows [N, D] are true of an image; `odds` are the log odds beforehand."""
        return sigmoid(self.log_ratio(similarity, self.bias(rows)) + odds)


def lower_quartile(similarity: Values) -> Values:
    """The lower quartile [N] of similarities [R, N]: few phrases are true of three references in four."""
    number = int(_QUARTILE * (len(similarity) - 1))
    found: Values = np.partition(similarity, number, axis=0)[number]
    return found


def _fitted(similarity: Values, own: npt.NDArray[np.bool_]) -> tuple[float, float, float]:
    """Slope, weight of the bias, and intercept for similarities [R, C]."""
    values, claimed = similarity.ravel(), own.ravel()
    _check_they_belong(values, claimed)
    taken, numbers = _sample(values, claimed)
    bias = np.broadcast_to(lower_quartile(similarity), similarity.shape).ravel()
    features = np.stack([values[taken], bias[taken]], axis=1).astype(np.float64)
    (slope, weight, intercept), true = fit_claimed(features, claimed[taken], numbers)
    if weight > 0:  # no hubs: the bias would only say which claims are common
        (slope, intercept), true = fit_claimed(features[:, :1], claimed[taken], numbers)
        weight = 0.0
    if not slope > 0 or true < _LEAST_TRUE:
        raise RequestError(_DO_NOT_BELONG)
    return float(slope), float(weight), float(intercept)


def _check_they_belong(similarity: Values, own: npt.NDArray[np.bool_]) -> None:
    """Raises RequestError: what is claimed of an image is no more similar to it than chance has it."""
    ours, others = similarity[own], similarity[~own]
    error = float(np.sqrt(ours.var() / len(ours) + others.var() / len(others)))
    if not float(ours.mean() - others.mean()) > _STANDARD_ERRORS * error:
        raise RequestError(_DO_NOT_BELONG)


def _sample(similarity: Values, own: npt.NDArray[np.bool_]) -> tuple[npt.NDArray[np.int64], npt.NDArray[np.float64]]:
    """Positions of the pairs that are learned from, and how many each stands for.

    All of an image and its own claims, the others that are most similar, and of the rest, which tell least, some.
    """
    ours, others = np.flatnonzero(own), np.flatnonzero(~own)
    if len(others) <= _MOST_SIMILAR + _REST:
        return np.arange(len(own)), np.ones(len(own))
    others = others[np.argsort(-similarity[others], kind="stable")]
    near, rest = others[:_MOST_SIMILAR], others[_MOST_SIMILAR:]
    some = rest[np.linspace(0, len(rest) - 1, _REST).astype(np.int64)]  # evenly spread over their similarities
    numbers = np.concatenate([np.ones(len(ours) + len(near)), np.full(len(some), len(rest) / len(some))])
    return np.concatenate([ours, near, some]), numbers
