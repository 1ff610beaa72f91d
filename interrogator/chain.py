"""Prompt search: grow a prompt one phrase at a time, each time by the phrase that raises its score most.

The method is the greedy chain of clip-interrogator (github.com/pharmapsychotic/clip-interrogator, `chain`), with
ties broken by order instead of by chance and a prompt that never exceeds the token budget. Beyond it, several chains
can be grown side by side (beams), and phrases that a chain should not take can be kept from it as it grows.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass

import torch
from torch import Tensor

from .prompts import join
from .ranking import first_best

# score(prompt, phrases, best): scores [N] of the texts "{prompt}, {phrase}" for each phrase; of the phrases alone where
# the prompt is empty. The `best` highest of them, and whatever ties with those, are exact; every other one is below.
Scorer = Callable[[str, Sequence[str], int], Tensor]


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


# fresh(chain, candidates): those of the candidates that the chain may still take, in their order.
Freshness = Callable[[Chain, Sequence[Candidate]], Sequence[Candidate]]


@dataclass(frozen=True, eq=False)
class _Beam:
    """A chain that grows, what it may still take, and whether it took the best phrase at every step so far."""

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
    """Grow `start` and return the best prompt met on the way.

    Each step scores every candidate behind each of the prompts so far and goes on from the `beams` best of the longer
    prompts, earlier candidates first among ties. One beam is the greedy chain. Of several, one is always the greedy
    chain until that ends, so at any number of phrases the best beam scores no less than greedy does, and neither
    does the result.

    The first `min_phrases` steps may lower the score, later ones end a beam when they would: a phrase that hurts
    alone can open the way for others. A beam also ends when its best phrases do not fit; the others go on. The
    result is the best prompt of any length that a beam held, `start` included unless its prompt is empty.

    Args:
        start: the prompt to begin with; an empty prompt takes its first phrase from the candidates.
        candidates: what may be taken, in the order that breaks ties.
        score: higher is better; a search for the least similar prompt hands in negated similarities.
        fits: whether a text is within the encoder's context.
        min_phrases: steps that may lower the score; above `max_phrases` it means all of them.
        max_phrases: phrases the result may hold at most.
        beams: prompts grown side by side, at least 1; the scorer is asked once for each of them and step.
        fresh: narrows what a chain may still take; None keeps everything. What it leaves out does not come back.
        progress: called with (steps done, steps at most) before each step; may raise to cancel.
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
    """A beam with one phrase more: the `count` best of them, best first."""
    pool: Sequence[Candidate] = _within_quota(beam.pool, beam.chain)
    if fresh:
        pool = fresh(beam.chain, pool)
    if not pool:
        return
    count = min(count, len(pool))
    scores = score(beam.chain.prompt, [candidate.text for candidate in pool], count)  # [N]
    for rank, index in enumerate(_highest(scores, count)):
        chain = beam.chain.extended(pool[index], float(scores[index]))
        yield _Beam(chain, [*pool[:index], *pool[index + 1 :]], beam.greedy and rank == 0)


def _survivors(longer: Sequence[_Beam], count: int) -> list[_Beam]:
    """The `count` best of beams of one length, best first, the greedy one among them wherever it stands.

    Of beams that hold the same phrases in another order only the best lives on. Order moves a score far less than a
    phrase does, so the orders of one good set would crowd out every other set. The greedy beam is held to its own
    order: the promise is about its path.
    """
    ordered = sorted(longer, key=lambda beam: not beam.greedy)  # the greedy beam stands first among ties
    scores = torch.tensor([beam.chain.score for beam in ordered], dtype=torch.float64)  # [M]
    ranked = [ordered[index] for index in _highest(scores, len(ordered))]
    distinct: dict[frozenset[Candidate], _Beam] = {}
    for beam in ranked:
        distinct.setdefault(frozenset(beam.chain.taken), beam)
    kept = list(distinct.values())[:count]
    greedy = [beam for beam in ordered[:1] if beam.greedy and beam not in kept]
    return kept[: count - len(greedy)] + greedy


def _highest(scores: Tensor, count: int) -> list[int]:
    """Indices of the `count` highest of `scores` [N], each the `first_best` of what those before it left."""
    left = scores.double().cpu().clone()  # [N]
    indices = []
    for _ in range(count):
        indices.append(first_best(left))
        left[indices[-1]] = -torch.inf
    return indices


def _within_quota(pool: Sequence[Candidate], chain: Chain) -> list[Candidate]:
    taken = [candidate.bank for candidate in chain.taken]
    return [c for c in pool if c.quota is None or taken.count(c.bank) < c.quota]
