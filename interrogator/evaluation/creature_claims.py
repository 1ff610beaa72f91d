"""One wrong attribute put into the true caption of a creature: is it found, and are true claims suspected?"""

from __future__ import annotations

import random
from collections.abc import Sequence
from dataclasses import dataclass, replace

from torch import Tensor

from ..demo.attributes import BACKGROUNDS, COLORS, FEATURES, KINDS, MEDIUMS, Creature
from ..demo.creatures import creature
from ..evidence import ClaimChecker, split_claims
from ..pipeline import Interrogator


@dataclass(frozen=True)
class Altered:
    """Embeddings of creatures, what is true of them, and captions with one wrong attribute each."""

    rows: list[Tensor]
    truths: list[Creature]
    captions: list[str]

    @classmethod
    def of(cls, ci: Interrogator, first_seed: int, count: int, *, held_out: bool = False) -> Altered:
        """Draw and embed `count` creatures from `first_seed` on; see `Drawn.of`."""
        pairs = [creature(first_seed + number, only_held_out=held_out) for number in range(count)]
        rows = [reading.embedding for reading in ci.read([image for image, _ in pairs], {"encoder"})]
        rng = random.Random(first_seed)
        truths = [truth for _, truth in pairs]
        captions = [altered(truth, rng).caption for truth in truths]
        return cls([row for row in rows if row is not None], truths, captions)


def altered(truth: Creature, rng: random.Random) -> Creature:
    """The creature with another value of one of its attributes, all equally likely."""
    values: dict[str, Sequence[str]] = {
        "kind": KINDS, "color": tuple(COLORS), "background": tuple(BACKGROUNDS), "medium": tuple(MEDIUMS),
    }  # fmt: skip
    if truth.feature is not None:
        values |= {"feature": FEATURES, "feature_color": tuple(COLORS)}
    name = rng.choice(list(values))
    return replace(truth, **{name: rng.choice([each for each in values[name] if each != getattr(truth, name)])})


def suspected(drawn: Altered, checker: ClaimChecker) -> tuple[list[bool], list[bool]]:
    """Whether each false claim, and each true one, is held unsupported."""
    false: list[bool] = []
    true: list[bool] = []
    for truth, claims in zip(drawn.truths, checker.check(drawn.rows, drawn.captions), strict=True):
        own = {claim.text for claim in split_claims(truth.caption)}
        for claim in claims:
            (true if claim.text in own else false).append(claim.verdict == "unsupported")
    return false, true
