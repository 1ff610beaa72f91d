"""Which token comes next in an answer: penalties, words that are forbidden, reproducible random numbers.

transformers' own rules count the prompt, and with it the padding in front: an image would get another caption in
another batch. These count what was written.
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Sequence
from dataclasses import dataclass, field

import torch
from torch import Tensor

from ..answers import LOOP_WINDOW, loops
from ..sampling_options import SamplingOptions
from ..token_choice import Draw, forbid, penalise, repeating, row_seed

_NEVER = float("-inf")


@dataclass(frozen=True)
class Row:
    """One answer: the key of its image, on which its random numbers hang, and its number among those of the image."""

    key: str = ""
    sample: int = 0


@dataclass
class StepWatch:
    """A stopping criterion of `generate`: notes where the answer begins, and ends answers that repeat themselves.

    Attributes:
        stop_loops: whether it does.
        start: how many tokens stand in front of the answers; -1 before the first step.
        stops: by row how many tokens it had when it was ended here; what follows is padding.
    """

    stop_loops: bool
    start: int = -1
    stops: dict[int, int] = field(default_factory=dict)

    def __call__(self, ids: Tensor, scores: Tensor, **_: object) -> Tensor:
        """Which rows of `ids` [R, t] are at their end: bool [R]. Called once a token."""
        if self.start < 0:
            self.start = ids.shape[1] - 1
        if not self.stop_loops:
            return torch.zeros(len(ids), dtype=torch.bool, device=ids.device)
        tails = ids[:, max(self.start, ids.shape[1] - LOOP_WINDOW) :].tolist()
        found = [loops(tail) for tail in tails]
        for row, repeats in enumerate(found):
            if repeats:
                self.stops.setdefault(row, ids.shape[1])
        return torch.tensor(found, device=ids.device)


@dataclass
class TokenRules:
    """A logits processor of `generate` for the rules of one call.

    Attributes:
        rules: what to follow.
        rows: one for each answer where samples are drawn; () takes the likeliest tokens, also with beams.
        ends: the tokens that end an answer.
        forbidden: whether a token must not follow the tokens of an answer; asked of tokens that were drawn.
        log_probabilities: for each row that of each chosen token, by the model alone.
    """

    rules: SamplingOptions
    rows: Sequence[Row]
    ends: Sequence[int]
    forbidden: Callable[[list[int], int], bool] | None = None
    log_probabilities: list[list[float]] = field(default_factory=list)
    _start: int = -1

    def __post_init__(self) -> None:
        self._draw = Draw(self.rules.temperature, self.rules.top_k, self.rules.top_p)
        self.log_probabilities = [[] for _ in self.rows]

    @property
    def needed(self) -> bool:
        """Whether these rules change anything."""
        rules = self.rules
        return bool(self.rows or rules.repetition_penalty != 1 or rules.no_repeat_ngram_size or rules.min_new_tokens)

    def __call__(self, ids: Tensor, scores: Tensor) -> Tensor:
        """Scores [R, V] under the rules, after the tokens `ids` [R, t]."""
        if self._start < 0:
            self._start = ids.shape[1]
        written = ids[:, self._start :]  # [R, n]
        given = scores.float()
        scores = given.clone()
        if self.rules.repetition_penalty != 1 and written.shape[1]:
            penalise(scores, written, float(self.rules.repetition_penalty))
        texts = written.tolist()
        banned = [(row, token) for row, text in enumerate(texts) for token in self._banned(text)]
        forbid(scores, banned, self.ends[0])
        return self._drawn(given, scores, texts) if self.rows else scores

    def _banned(self, text: list[int]) -> Collection[int]:
        banned = repeating(text, self.rules.no_repeat_ngram_size)
        return banned | set(self.ends) if len(text) < self.rules.min_new_tokens else banned

    def _drawn(self, given: Tensor, scores: Tensor, texts: list[list[int]]) -> Tensor:
        """Scores of which only one of a row is possible: the token that was drawn."""
        step = len(texts[0])
        seeds = [row_seed(self.rules.seed, row.key, row.sample, step) for row in self.rows]
        chosen = self._draw.choose(scores, seeds)  # [R]
        if self.forbidden is not None:
            self._choose_again(scores, seeds, chosen, texts)
        own = given.gather(1, chosen[:, None]).squeeze(1) - given.logsumexp(dim=-1)  # [R]
        for taken, value in zip(self.log_probabilities, own.tolist(), strict=True):
            taken.append(value)
        return torch.full_like(scores, _NEVER).scatter_(1, chosen[:, None], 0.0)

    def _choose_again(
        self, scores: Tensor, seeds: Sequence[tuple[int, int]], chosen: Tensor, texts: list[list[int]]
    ) -> None:
        """Replace chosen tokens [R] that would complete a forbidden word, in place.

        A draw is a race of fixed random numbers (see `token_choice`), so leaving a token out and drawing again chooses
        what would have been chosen if the token had never been there.
        """
        assert self.forbidden is not None
        for row, text in enumerate(texts):
            if any(end in text for end in self.ends):
                continue
            while int(chosen[row]) not in self.ends and self.forbidden(text, int(chosen[row])):
                forbid(scores, [(row, int(chosen[row]))], self.ends[0])
                chosen[row] = self._draw.choose(scores[row : row + 1], [seeds[row]])[0]
