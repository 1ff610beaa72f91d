"""Prompt search: grow a prompt one phrase at a time, each time by the phrase that raises its score most.

The method is the greedy chain of clip-interrogator (github.com/pharmapsychotic/clip-interrogator, `chain`), except
that ties are broken by order instead of by chance and the prompt never exceeds the token budget. In addition, several
chains can grow side by side (beams), and a filter can exclude phrases from a chain as it grows.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass

import torch
from torch import Tensor

from .prompts import join
from .ranking import first_best

# score(prompt, phrases, best): scores [N] of "{prompt}, {phrase}" for each phrase, or of the phrase alone if the prompt
# is empty. The `best` highest scores, and all that tie with them, are exact; every other score is lower than these.
Scorer = Callable[[str, Sequence[str], int], Tensor]


@dataclass(frozen=True)
class Candidate:
    """A phrase that the chain may take, its bank, and how many phrases of that bank a chain may take in all."""

    text: str
    bank: str
    quota: int | None = None


@dataclass(frozen=True)
class Chain:
    """A prompt, its score, and the candidates that it was made of, in order."""

    prompt: str
    score: float
    taken: tuple[Candidate, ...] = ()

    def extended(self, candidate: Candidate, score: float) -> Chain:
        """The chain with one more candidate, and the score of that prompt."""
        return Chain(join(self.prompt, candidate.text), score, (*self.taken, candidate))


# fresh(chain, candidates): the candidates that the chain may still take, in order.
Freshness = Callable[[Chain, Sequence[Candidate]], Sequence[Candidate]]


@dataclass(frozen=True, eq=False)
class _Beam:
    """A growing chain, the candidates left to it, and whether it has taken the best phrase at every step so far."""

    chain: Chain
    pool: Sequence[Candidate]
    greedy: bool


def grow(
    start: Chain,
    candidates: Sequence[Candidate],
    score: Scorer,
    fits: Callable[[str], bool],
    min_phrases: int = 8,
    max_phrases: int = 32,
    beams: int = 1,
    fresh: Freshness | None = None,
    progress: Callable[[int, int], None] | None = None,
) -> Chain:
    """Grow `start` and return the best prompt found along the way.

    Each step scores every candidate after each current prompt and continues with the `beams` best of the longer
    prompts, earlier candidates first among ties. One beam is the greedy chain. With several, one of them is always the
    greedy chain until that ends, so the best beam of any length, and the result, score at least as high as greedy.

    The first `min_phrases` steps may lower the score, because a phrase that hurts alone can pave the way for others;
    after that, a beam ends when its score would fall. A beam also ends when its best phrases do not fit; the others
    continue. The result is the best prompt of any length that a beam held, including `start` unless its prompt is
    empty.

    Args:
        start: the prompt to begin with; if it is empty, the first phrase comes from the candidates.
        candidates: the phrases to choose from, in the order that breaks ties.
        score: higher is better; to search for the least similar prompt, pass negated similarities.
        fits: whether a text is within the encoder's context.
        min_phrases: number of steps that may lower the score; more than `max_phrases` means all of them.
        max_phrases: maximum number of phrases in the result.
        beams: number of prompts grown side by side, at least 1; the scorer is called once per beam and step.
        fresh: narrows the candidates left to a chain; None keeps all. A candidate it drops does not come back.
        progress: called with (steps done, maximum steps) before each step; may raise to cancel.
    """
    best = start
    live = [_Beam(start, candidates, greedy=True)]
    for step in range(max_phrases):
        if progress:
            progress(step, max_phrases)
        longer: list[_Beam] = []
        for beam in live:
            may_fall = step < min_phrases or not beam.chain.prompt
            longer += [
                extension
                for extension in _extensions(beam, score, beams, fresh)
                if (may_fall or extension.chain.score > beam.chain.score) and fits(extension.chain.prompt)
            ]
        if not longer:
            break
        live = _survivors(longer, beams)
        if live[0].chain.score > best.score or not best.prompt:
            best = live[0].chain
    if progress:
        progress(max_phrases, max_phrases)
    return best


def _extensions(beam: _Beam, score: Scorer, count: int, fresh: Freshness | None) -> Iterator[_Beam]:
    """The beam with one more phrase: the `count` best extensions, best first."""
    pool: Sequence[Candidate] = _within_quota(beam.pool, beam.chain)
    if fresh:
        pool = fresh(beam.chain, pool)
    if not pool:
        return
    count = min(count, len(pool))
    scores = score(beam.chain.prompt, [candidate.text for candidate in pool], count)  # [N]
    for number, index in enumerate(_highest(scores, count)):
        chain = beam.chain.extended(pool[index], float(scores[index]))
        yield _Beam(chain, [*pool[:index], *pool[index + 1 :]], beam.greedy and number == 0)


def _survivors(longer: Sequence[_Beam], count: int) -> list[_Beam]:
    """The `count` best of beams of equal length, best first; the greedy beam always survives.

    Of beams that hold the same phrases in different orders, only the best survives. Order changes a score far less than
    a phrase does, so permutations of one good set would crowd out every other set. The greedy beam keeps its own order,
    because the guarantee concerns its path.
    """
    ordered = sorted(longer, key=lambda beam: not beam.greedy)  # the greedy beam comes first among ties
    scores = torch.tensor([beam.chain.score for beam in ordered], dtype=torch.float64)  # [M]
    ranked = [ordered[index] for index in _highest(scores, len(ordered))]
    distinct: dict[frozenset[Candidate], _Beam] = {}
    for beam in ranked:
        distinct.setdefault(frozenset(beam.chain.taken), beam)
    best = list(distinct.values())[:count]
    greedy = [beam for beam in ordered[:1] if beam.greedy and beam not in best]
    return best[: count - len(greedy)] + greedy


def _highest(scores: Tensor, count: int) -> list[int]:
    """Indices of the `count` highest of `scores` [N], each the `first_best` of those not yet chosen."""
    left = scores.double().cpu().clone()  # [N]
    indices = []
    for _ in range(count):
        indices.append(first_best(left))
        left[indices[-1]] = -torch.inf
    return indices


def _within_quota(pool: Sequence[Candidate], chain: Chain) -> list[Candidate]:
    taken = [candidate.bank for candidate in chain.taken]
    return [c for c in pool if c.quota is None or taken.count(c.bank) < c.quota]
