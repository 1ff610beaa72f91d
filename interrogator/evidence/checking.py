"""Checking: which claims of a caption a picture supports.

Each claim is scored by the encoder in its own words, and what its similarity is worth says the encoder's calibration.
Without one, the claims of a caption are held against its own better half, which is mostly true, and against phrases of
the built-in banks, nearly all of which are false of any one picture. That tells less: a claim may be similar to every
picture, and a caption of one claim has nothing to be held against but itself. A matcher's probability is joined in as
a second, equal voice.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import asdict, dataclass
from typing import Any, Literal

import numpy as np
import numpy.typing as npt
import torch
from torch import Tensor

from ..banks import FLAVORS, load_banks
from ..errors import ModelError, RequestError
from ..models import Encoder, Matcher
from ..progress import Progress
from ..threads import Lazy
from . import claim_words
from .calibration import MAX_REFERENCES, MIN_REFERENCES, Calibration
from .claims import ClaimText, split_claims
from .logistic import fit, log_odds, sigmoid
from .words import claims_of

Verdict = Literal["supported", "unsupported", "unknown"]

SUPPORTED = 0.6
"""Evidence from which on a claim is supported."""
UNSUPPORTED = 0.4
"""Evidence up to which a claim is unsupported."""

# How often at most a calibration is made again without the claims that the one before holds false.
_TRIMMED = 6
# Phrases that stand for what is false of a picture: evenly spread over the flavors, enough to see how they vary.
_FALSE_PHRASES = 256
# A matcher says 0.99999 of half of all texts; beyond these log odds its certainty counts no more.
_MOST_CERTAIN = 6.0


@dataclass(frozen=True)
class Claim:
    """A claim of a caption, and what a picture says of it.

    Attributes:
        text: the claim in words that stand for themselves.
        span: where the caption says it: start and end, the end exclusive.
        evidence: the probability that it is true of the picture, were it as likely true as false beforehand.
        verdict: `supported`, `unsupported` or `unknown`. A claim that something is not there is never supported:
            an encoder may overlook what is small.
    """

    text: str
    span: tuple[int, int]
    evidence: float
    verdict: Verdict

    def as_dict(self) -> dict[str, Any]:
        """The fields as plain values for JSON."""
        return {**asdict(self), "span": list(self.span)}


class ClaimChecker:
    """Checks captions against pictures with one encoder; threads may share it."""

    def __init__(self, encoder: Encoder, calibration: Calibration | None = None, matcher: Matcher | None = None):
        """Combine the parts; nothing is computed yet.

        Args:
            calibration: of this encoder; None holds each caption against phrases of the built-in banks.
            matcher: its probability is joined in.
        """
        self.encoder = encoder
        self.calibration = calibration
        self.matcher = matcher
        self._false_rows: Lazy[Tensor] = Lazy()

    def can_learn_from(self, captions: Sequence[str]) -> bool:
        """Whether there is no calibration, and captions enough to make one."""
        return self.calibration is None and len(captions) >= MIN_REFERENCES

    def learned(self, embeddings: Sequence[Tensor | None], captions: Sequence[str]) -> ClaimChecker:
        """A checker calibrated on pictures and their captions; this one, where they show nothing.

        They show nothing if they claim the same, or no more of their own picture than of others. Captions that are to
        be checked may all have a mistake, and a wrong claim is often nearly true, which hides it from the regression:
        what one calibration holds false is left out of the next, until it holds nothing false (trimmed maximum
        likelihood).

        Args:
            embeddings: of each picture, [D] unit vectors; None is left out.
            captions: one for each picture.
        """
        pairs = [(row, claims_of(caption)) for row, caption in zip(embeddings, captions, strict=True)]
        known = [(row, claims) for row, claims in pairs if row is not None and claims][:MAX_REFERENCES]
        if len(known) < MIN_REFERENCES:
            return self
        texts = list(dict.fromkeys(text for _, claims in known for text in claims))
        number_of = {text: number for number, text in enumerate(texts)}
        rows = self.encoder.encode_texts(texts).cpu()  # [N, D]
        left = [(row.cpu(), np.array([number_of[text] for text in claims])) for row, claims in known]
        calibration: Calibration | None = None
        try:
            for _ in range(_TRIMMED + 1):
                used = np.unique(np.concatenate([own for _, own in left]))
                own = [np.searchsorted(used, numbers) for _, numbers in left]
                calibration = Calibration.of_claims(torch.stack([row for row, _ in left]), rows[used], own)
                before, left = left, _supported(calibration, left, rows)
                if sum(len(own) for _, own in left) == sum(len(own) for _, own in before):
                    break
        except RequestError:  # of the first captions: they show nothing; of trimmed ones: too few are left
            pass
        return self if calibration is None else ClaimChecker(self.encoder, calibration, self.matcher)

    def check(
        self,
        embeddings: Sequence[Tensor | None],
        captions: Sequence[str],
        prepared: Sequence[Any] | None = None,
        progress: Progress | None = None,
    ) -> list[list[Claim]]:
        """The claims of each caption in order, judged by its picture; [] for one without claims.

        Args:
            embeddings: of each picture by the encoder, [D] unit vectors.
            captions: one for each picture.
            prepared: each picture as the matcher reads it; needed if there is one.
            progress: called with (texts done, texts) and (pictures done, pictures); may raise to cancel.

        Raises:
            RequestError: as many captions as pictures are needed, and as many prepared ones for a matcher.
            ModelError: an embedding is not finite.
        """
        if len(embeddings) != len(captions) or (self.matcher and len(prepared or ()) != len(captions)):
            raise RequestError(f"got {len(captions)} captions for {len(embeddings)} pictures; give one for each")
        split = [[_Scored.of(claim) for claim in split_claims(caption)] for caption in captions]
        texts = list(dict.fromkeys(claim.text for claims in split for claim in claims))
        if not texts:
            return [[] for _ in captions]
        number_of = {text: number for number, text in enumerate(texts)}
        rows = self.encoder.encode_texts(texts, progress)  # [N, D]
        bias = self.calibration.bias(rows) if self.calibration else None  # [N]
        found = []
        for embedding, claims in zip(embeddings, split, strict=True):
            assert embedding is not None
            numbers = [number_of[claim.text] for claim in claims]
            found.append(self._odds(embedding, rows[numbers], None if bias is None else bias[numbers]))
        if self.matcher is not None:
            lists = [[claim.text for claim in claims] for claims in split]
            matches = self.matcher.match(list(prepared or ()), lists, progress).numpy()  # [B, N]
            found = [
                (odds + np.array([_bounded(each) for each in row[: len(odds)]])) / 2
                for odds, row in zip(found, matches, strict=True)
            ]
        return [
            [claim.judged(float(each)) for claim, each in zip(claims, sigmoid(odds), strict=True)]
            for claims, odds in zip(split, found, strict=True)
        ]

    def _odds(
        self, embedding: Tensor, rows: Tensor, bias: npt.NDArray[np.float32] | None
    ) -> npt.NDArray[np.floating]:  # fmt: skip
        """Log odds [C] of claims with unit rows [C, D]."""
        similarity = _similarity(embedding, rows)
        if self.calibration is not None and bias is not None:
            return self.calibration.log_ratio(similarity, bias)
        if not len(rows):
            return np.zeros(0)
        false_rows = self._false_rows.get(lambda: self.encoder.encode_texts(_false_phrases()))  # [n, D]
        values = np.concatenate([_better_half(similarity), _similarity(embedding, false_rows)]).astype(np.float64)
        own = np.arange(len(values)) < len(values) - len(false_rows)
        slope, intercept = fit(values[:, None], own)
        return np.asarray(max(slope, 0.0) * similarity + intercept)


@dataclass(frozen=True)
class _Scored:
    """A claim with the words that are scored; where it says that something is not there, the words for that thing."""

    claim: ClaimText
    text: str
    is_negated: bool

    @classmethod
    def of(cls, claim: ClaimText) -> _Scored:
        words = claim.text.split()
        positive = [word for word in words if word.casefold() not in claim_words.NEGATIONS]
        negated = 0 < len(positive) < len(words)
        return cls(claim, " ".join(positive) if negated else claim.text, negated)

    def judged(self, probability: float) -> Claim:
        evidence = 1 - probability if self.is_negated else probability
        verdict: Verdict = "unknown"
        if evidence <= UNSUPPORTED:
            verdict = "unsupported"
        elif evidence >= SUPPORTED and not self.is_negated:
            verdict = "supported"
        return Claim(self.claim.text, (self.claim.start, self.claim.end), evidence, verdict)


def _similarity(embedding: Tensor, rows: Tensor) -> npt.NDArray[np.float32]:
    """Cosines [N] of an embedding [D] and rows [N, D]. Raises ModelError: one is not finite."""
    found = rows.float() @ embedding.to(rows.device).float()
    if not bool(torch.isfinite(found).all()):
        raise ModelError("the encoder gave an embedding that is not finite, so no claim can be checked")
    return np.asarray(found.cpu().numpy(), dtype=np.float32)


def _supported(
    calibration: Calibration, pictures: Sequence[tuple[Tensor, npt.NDArray[np.int64]]], rows: Tensor
) -> list[tuple[Tensor, npt.NDArray[np.int64]]]:
    """The pictures [D] with those of their claims, positions in rows [N, D], that are likelier true than false."""
    bias = calibration.bias(rows)
    odds = [calibration.log_ratio(_similarity(row, rows[own]), bias[own]) for row, own in pictures]
    kept = [(row, own[values > 0]) for (row, own), values in zip(pictures, odds, strict=True)]
    return [(row, own) for row, own in kept if len(own)]


def _better_half(similarity: npt.NDArray[np.float32]) -> npt.NDArray[np.float32]:
    """The higher half of similarities [C] of one caption's claims: even in a bad caption most of these are true."""
    return np.sort(similarity)[len(similarity) // 2 :]


def _bounded(probability: float) -> float:
    return float(np.clip(log_odds(float(probability)), -_MOST_CERTAIN, _MOST_CERTAIN))


def _false_phrases() -> list[str]:
    phrases = [phrase for bank in load_banks([FLAVORS]) for phrase in bank.phrases]
    return phrases[:: max(len(phrases) // _FALSE_PHRASES, 1)][:_FALSE_PHRASES]
