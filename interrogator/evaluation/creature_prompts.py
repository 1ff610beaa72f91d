"""How much of a prompt is true and what it leaves out, on demo creatures, with the demo's own banks or ours beside."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from types import MappingProxyType

from ..banks import PhraseBank, load_banks
from ..demo.attributes import Creature
from ..demo.creatures import creature
from ..modes import STRICTNESS
from ..pipeline import Interrogator
from ..progress import Progress
from ..reading import Candidate, Reading
from .bootstrap import Estimate
from .creature_truth import facts_stated, is_true

FIRST_SEEDS = (2_000_000, 2_100_000, 2_200_000)
"""The first creature of each draw; none was trained on."""


@dataclass(frozen=True)
class Judged:
    """One prompt: how many of its phrases are true, of how many; facts stated, of how many; its length in tokens."""

    true: int
    phrases: int
    facts: int
    of_facts: int
    tokens: int


FIGURES: Mapping[str, Callable[[Judged], tuple[float, float]]] = MappingProxyType(
    {
        "share of true phrases": lambda each: (each.true, each.phrases),
        "facts stated": lambda each: (each.facts, each.of_facts),
        "pictures with a false phrase": lambda each: (each.true < each.phrases, 1),
        "tokens": lambda each: (each.tokens, 1),
    }
)
"""What is measured of prompts: for each its part and its whole, which are summed up."""


def estimate(figure: str, found: Sequence[Judged]) -> Estimate:
    """One of the figures for all prompts, at least one."""
    parts, wholes = zip(*map(FIGURES[figure], found), strict=True)
    return Estimate.of(parts, wholes)


@dataclass(frozen=True)
class Drawn:
    """Readings of creatures, with the captioner's words, and their truths."""

    readings: list[Reading]
    truths: list[Creature]

    @classmethod
    def of(
        cls, ci: Interrogator, first_seed: int, count: int, *, held_out: bool = False, progress: Progress | None = None
    ) -> Drawn:
        """Draw and read `count` creatures from `first_seed` on.

        held_out: take those whose combination of attributes was held out of training.
        """
        pairs = [creature(first_seed + number, only_held_out=held_out) for number in range(count)]
        readings = ci.read([image for image, _ in pairs], {"captioner", "encoder"}, progress=progress)
        return cls(readings, [truth for _, truth in pairs])

    def first(self, most: int) -> Drawn:
        """The first ones."""
        return Drawn(self.readings[:most], self.truths[:most])


def with_banks(demo: Interrogator, real: bool, most: int | None = None) -> Interrogator:
    """The demo models with the demo banks, and with our real ones beside them, of which `most` phrases each.

    It writes no captions: prompts are composed of what was read.
    """
    banks = {bank.name: bank for bank in demo.banks}
    if real:
        for full in load_banks():
            bank = PhraseBank(full.name, tuple(full.phrases)[:most])
            banks[bank.name] = banks[bank.name].merged(bank) if bank.name in banks else bank
    return Interrogator(None, demo.encoder, [PhraseBank(b.name, tuple(b.phrases)) for b in banks.values()], demo.cache)


def judged(
    ci: Interrogator, mode: str, own: set[str], drawn: Iterable[Drawn], captioned: bool, strictness: float = STRICTNESS
) -> list[Judged]:
    """The prompts of a mode for all creatures.

    Args:
        own: the phrases of the demo banks. Those of other banks are false unless they say what a phrase of these says.
        captioned: whether the captioner's words are part of the prompt.
        strictness: as of `Interrogator.interrogate`.
    """
    found = []
    for group in drawn:
        for reading, truth in zip(group.readings, group.truths, strict=True):
            caption = reading.caption if captioned else ""
            told = Reading((Candidate(caption),), None, reading.embedding)
            made = ci.compose(told, mode, strictness=strictness)
            phrases = {phrase.text: phrase.text in own for phrase in made.phrases}
            true = sum(is_true(text, truth, of_demo) for text, of_demo in phrases.items())
            facts = facts_stated(truth, phrases, caption)
            found.append(Judged(true, len(phrases), *facts, ci.encoder.count(made.prompt)))
    return found
