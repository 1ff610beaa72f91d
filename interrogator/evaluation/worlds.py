"""Worlds whose truth is known: creatures with the demo's own banks, with all our banks beside, and planted embeddings.

In the first, every phrase is about creatures; in the second, most are words that the demo's encoder was never taught;
in the third, texts differ in how similar they are to all images, as those of real encoders do.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass

import torch

from ..modes import Mode
from ..pipeline import Interrogator
from .bootstrap import Estimate
from .creature_claims import Altered, suspected
from .creature_prompts import FIGURES, Drawn, estimate, judged, with_banks
from .planted import calibrated, counts_of_top, planted

WORLD_MODES = (Mode.CLASSIC, Mode.FAST, Mode.BEST, Mode.PRECISE)
"""Modes whose prompts have phrases to judge."""

HUBS = (0.0, 0.25, 0.6)
"""Strengths of hubs in planted worlds."""

_FIRST_SEED, _APART = 2_000_000, 100_000
MOST_SEEDS, MOST_PICTURES = 50, 10_000

Told = Callable[[str], None]


@dataclass(frozen=True)
class CreatureRow:
    """The prompts of a mode in a world.

    Attributes:
        banks: `demo`, or `all`.
        caption: whether the captioner's words are part of the prompts.
        pictures: how many.
        figures: by name, see `creature_prompts.FIGURES`.
    """

    banks: str
    caption: bool
    mode: str
    pictures: int
    figures: Mapping[str, Estimate]


@dataclass(frozen=True)
class ClaimRow:
    """Captions with one wrong attribute: the share of those that are found, and of true claims that are suspected."""

    found: Estimate
    suspected: Estimate


@dataclass(frozen=True)
class PlantedRow:
    """F1 of as many phrases as are true of an image on average: the likeliest ones, and the most similar ones."""

    hubs: float
    evidence: Estimate
    similarity: Estimate


def creatures(demo: Interrogator, pictures: int, seeds: int) -> list[Drawn]:
    """`pictures` creatures of each seed, none of them trained on; every second is of a kind held out of training."""
    return [
        Drawn.of(demo, _FIRST_SEED + _APART * number, count, held_out=held_out)
        for number in range(seeds)
        for held_out, count in ((False, (pictures + 1) // 2), (True, pictures // 2))
        if count
    ]


def creature_rows(
    demo: Interrogator, drawn: Sequence[Drawn], modes: Sequence[Mode], modes_of_all: Sequence[Mode], tell: Told
) -> Iterator[CreatureRow]:
    """Judge modes in both worlds, with captions and without.

    Args:
        modes: with the demo's banks.
        modes_of_all: with all banks, of which a chain takes seconds a picture.
        tell: is told what is worked on.
    """
    own = {text for bank in demo.banks for text in bank.phrases}
    for real in (False, True):
        ci = with_banks(demo, real)
        for captioned in (True, False):
            for mode in modes_of_all if real else modes:
                banks = "all" if real else "demo"
                tell(f"{mode.value}, {banks} banks, {'with' if captioned else 'without'} captions")
                found = judged(ci, mode.value, own, drawn, captioned)
                figures = {name: estimate(name, found) for name in FIGURES}
                yield CreatureRow(banks, captioned, mode.value, len(found), figures)


def claim_row(demo: Interrogator, pictures: int, seeds: int) -> ClaimRow:
    """Check captions with one wrong attribute each, of as many creatures."""
    false: list[bool] = []
    true: list[bool] = []
    for number in range(seeds):
        for held_out, count in ((False, (pictures + 1) // 2), (True, pictures // 2)):
            if count:
                drawn = Altered.of(demo, _FIRST_SEED + _APART * number, count, held_out=held_out)
                wrong, right = suspected(drawn, demo.claim_checker())
                false, true = false + wrong, true + right
    return ClaimRow(Estimate.of(false), Estimate.of(true))


def planted_rows(seeds: int) -> Iterator[PlantedRow]:
    """Planted worlds of all strengths of hubs, intervals over images."""
    for hubs in HUBS:
        ours: tuple[list[float], list[float]] = ([], [])
        raw: tuple[list[float], list[float]] = ([], [])
        for seed in range(seeds):
            world = planted(seed, hubs)
            similarity = world.images @ world.phrases.T
            calibration = calibrated(world)
            odds = calibration.log_ratio(similarity, calibration.bias(torch.from_numpy(world.phrases)))
            number = round(float(world.true.sum(axis=1).mean()))
            for counts, scores in ((ours, odds), (raw, similarity)):
                right, every = counts_of_top(scores, world.true, number)
                counts[0].extend(right)
                counts[1].extend(every)
        yield PlantedRow(hubs, Estimate.of(*ours), Estimate.of(*raw))
