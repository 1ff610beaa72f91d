"""Prompt search: grow a prompt one phrase at a time, each time by the phrase that raises its score most.

The method is the greedy chain of clip-interrogator (github.com/pharmapsychotic/clip-interrogator, `chain`), with
ties broken by order instead of by chance and a prompt that never exceeds the token budget.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass

from torch import Tensor

from .prompts import join
from .ranking import first_best

# Scores of the texts "{prompt}, {phrase}" for each phrase, [N]; of the phrases alone where the prompt is empty.
Scorer = Callable[[str, Sequence[str]], Tensor]


@dataclass(frozen=True)
class Candidate:
    """A phrase that the chain may take, the bank it comes from and how many of that bank it may take in all."""

    text: str
    bank: str
    quota: int | None = None


@dataclass(frozen=True)
class Chain:
    """A prompt and how it came about: its score and the candidates it took, in order."""

    prompt: str
    score: float
    taken: tuple[Candidate, ...] = ()

    def extended(self, candidate: Candidate, score: float) -> Chain:
        return Chain(join(self.prompt, candidate.text), score, (*self.taken, candidate))


def grow(
    start: Chain,
    candidates: Sequence[Candidate],
    score: Scorer,
    fits: Callable[[str], bool],
    min_phrases: int = 8,
    max_phrases: int = 32,
    progress: Callable[[int, int], None] | None = None,
) -> Chain:
    """Grow `start` greedily and return the best prompt met on the way.

    Each step scores every candidate behind the prompt so far and takes the best, earlier candidates first among
    ties. The first `min_phrases` steps may lower the score, later ones end the search when they would: a phrase
    that hurts alone can open the way for others. The result is the beginning of the chain with the highest score,
    `start` included unless its prompt is empty.

    Args:
        start: the prompt to begin with; an empty prompt takes its first phrase from the candidates.
        candidates: what may be taken, in the order that breaks ties.
        score: higher is better; a search for the least similar prompt hands in negated similarities.
        fits: whether a text is within the encoder's context.
        min_phrases: steps that may lower the score; above `max_phrases` it means all of them.
        max_phrases: phrases the result may hold at most.
        progress: called with (steps done, steps at most) before each step; may raise to cancel.
    """
    best = current = start
    pool = list(candidates)
    for step in range(max_phrases):
        if progress:
            progress(step, max_phrases)
        pool = _within_quota(pool, current)
        if not pool:
            break
        scores = score(current.prompt, [candidate.text for candidate in pool])  # [N]
        place = first_best(scores)
        longer = current.extended(pool[place], float(scores[place]))
        if not fits(longer.prompt):
            break
        if longer.score <= current.score and step >= min_phrases and current.prompt:
            break
        if longer.score > best.score or not best.prompt:
            best = longer
        current = longer
        del pool[place]
    if progress:
        progress(max_phrases, max_phrases)
    return best


def _within_quota(pool: list[Candidate], chain: Chain) -> list[Candidate]:
    taken = [candidate.bank for candidate in chain.taken]
    return [c for c in pool if c.quota is None or taken.count(c.bank) < c.quota]
