"""Similarities of texts with one image, exact in float32 where they decide a choice."""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import Tensor

from ..models import Encoder
from ..progress import Progress
from ..ranking import TIE, similarities

# The error of reduced-precision similarities is measured on this many of the most similar candidates beyond the `best`
# requested, and on as many spread evenly over the rest.
_MEASURED = 32
# Unmeasured errors are assumed to be at most this many times the largest measured one. Rounding errors are close to
# normally distributed: the largest of 64 lies at 2.4 standard deviations, twice that at 4.8.
_MARGIN = 2.0


class Scorer:
    """Similarity between one image embedding and a prompt continued by each of many phrases.

    An encoder that computes in bfloat16 or float16 errs by up to 2e-3, while the similarities of a whole pool of
    candidates spread over some 1e-2. Every candidate that could be among the best, given the measured error, is
    therefore recomputed in float32 from the weights as loaded, so the choice is the float32 one.
    """

    def __init__(self, encoder: Encoder, embedding: Tensor, progress: Progress | None = None) -> None:
        """Score by the cosine with `embedding` [D]."""
        self.encoder = encoder
        self.embedding = embedding
        self._progress = progress
        self._reduced = encoder.dtype != torch.float32
        # An encoder that computes in float32 is never asked for another dtype.
        self._exact = torch.float32 if self._reduced else None

    def texts(self, texts: Sequence[str]) -> Tensor:
        """Exact scores [N] of texts."""
        rows = self.encoder.encode_texts(list(texts), self._progress, self._exact)  # [N, D]
        return similarities(self.embedding, rows)

    def __call__(self, prompt: str, phrases: Sequence[str], best: int = 1) -> Tensor:
        """Scores [N] of `f"{prompt}, {phrase}"` for each phrase, or of the phrase alone if the prompt is empty.

        The `best` highest scores, and all that tie with them, are exact and higher than all others.
        """
        rows = self.encoder.encode_continuations(prompt, phrases, self._progress)  # [N, D]
        scores = similarities(self.embedding, rows)
        if not self._reduced or not len(phrases):
            return scores
        return self._settled(prompt, phrases, scores.cpu(), best)

    def _settled(self, prompt: str, phrases: Sequence[str], rough: Tensor, best: int) -> Tensor:
        """`rough` scores [N] with every one that could be among the `best` recomputed in float32."""
        exact = torch.full_like(rough, float("nan"))
        best = min(best, len(rough))
        wanted = torch.zeros(len(rough), dtype=torch.bool)
        wanted[rough.topk(min(best + _MEASURED, len(rough))).indices] = True
        wanted[torch.linspace(0, len(rough) - 1, min(_MEASURED, len(rough))).long()] = True
        while wanted.any():
            positions = torch.nonzero(wanted).flatten()
            rows = self.encoder.encode_continuations(
                prompt, [phrases[position] for position in positions.tolist()], self._progress, self._exact
            )  # [n, D]
            exact[positions] = similarities(self.embedding, rows).cpu()
            known = ~exact.isnan()
            errors = rough[known] - exact[known]
            middle = errors.median()  # the error common to all, from the prompt they share
            bound = _MARGIN * (errors - middle).abs().max() + TIE
            last = exact[known].topk(best).values[-1]  # of the best so far
            wanted = ~known & (rough - middle + bound >= last - TIE)
        # None of the others can be among the best; they stay in the order of their rough scores.
        below = torch.minimum(rough - middle, last - 2 * TIE)
        return torch.where(known, exact, below)
