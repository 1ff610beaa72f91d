"""One wrong attribute put into the true caption of a creature: how often it is found, and true claims are suspected."""

from __future__ import annotations

import random
from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np
from torch import Tensor

from benchmarks.plan import Task
from benchmarks.results import Result, Row
from benchmarks.works import sides
from interrogator import Interrogator, load
from interrogator.demo import Creature, creature
from interrogator.demo.attributes import BACKGROUNDS, COLORS, FEATURES, KINDS, MEDIUMS
from interrogator.evidence import Claim, ClaimChecker, split_claims

FIRST_SEEDS = (2_000_000, 2_100_000, 2_200_000)
_RESAMPLES = 1000
_FOUND, _ALARMS = 0.97, 0.01


@dataclass(frozen=True)
class _Drawn:
    """Embeddings of pictures, what is true of them, and captions with one wrong attribute each."""

    rows: list[Tensor]
    truths: list[Creature]
    captions: list[str]


def run(task: Task) -> Result:
    """Check wrong captions, with the calibration of the encoder, with one of their own, and without any."""
    result = sides.empty(task)
    ci = load("demo", captioner="none", tagger="none", banks=(), device="cpu", cache_dir=task.scratch)
    bare = ClaimChecker(ci.encoder)
    for held_out in (False, True):
        drawn = [_draw(ci, seed, held_out, task.sizes.creatures) for seed in FIRST_SEEDS]
        ways = {
            "calibrated encoder": [ci.claim_checker()] * len(drawn),
            "calibrated by these captions": [bare.learned(each.rows, each.captions) for each in drawn],
            "no calibration": [bare] * len(drawn),
        }
        for way, checkers in ways.items():
            false, true = _judged(drawn, checkers)
            where = f"{'held-out' if held_out else 'unseen'} creatures, {way}"
            _add(result, f"wrong attributes found: {where}", false, _FOUND, True)
            _add(result, f"false alarms a claim: {where}", true, _ALARMS, False)
    result.notes.append(
        f"Creatures: {task.sizes.creatures} for each of {len(FIRST_SEEDS)} seeds, each with its true caption in which"
        " one attribute was replaced by another value, all equally likely. Captions are split by the product. A claim"
        " is found if its verdict is unsupported; unknown is not counted as found. 95 % intervals by"
        f" {_RESAMPLES} bootstrap samples of claims."
    )
    return result


def _draw(ci: Interrogator, first_seed: int, held_out: bool, count: int) -> _Drawn:
    pairs = [creature(first_seed + number, only_held_out=held_out) for number in range(count)]
    rows = [reading.embedding for reading in ci.read([image for image, _ in pairs], {"encoder"})]
    rng = random.Random(first_seed)
    truths = [truth for _, truth in pairs]
    return _Drawn([row for row in rows if row is not None], truths, [altered(truth, rng).caption for truth in truths])


def altered(truth: Creature, rng: random.Random) -> Creature:
    """The creature with another value of one of its attributes."""
    values: dict[str, Sequence[str]] = {
        "kind": KINDS, "color": tuple(COLORS), "background": tuple(BACKGROUNDS), "medium": tuple(MEDIUMS),
    }  # fmt: skip
    if truth.feature is not None:
        values |= {"feature": FEATURES, "feature_color": tuple(COLORS)}
    name = rng.choice(list(values))
    return replace(truth, **{name: rng.choice([each for each in values[name] if each != getattr(truth, name)])})


def _judged(drawn: Sequence[_Drawn], checkers: Sequence[ClaimChecker]) -> tuple[list[bool], list[bool]]:
    """Whether each false claim, and each true one, is held unsupported."""
    false: list[bool] = []
    true: list[bool] = []
    for group, checker in zip(drawn, checkers, strict=True):
        found: list[list[Claim]] = checker.check(group.rows, group.captions)
        for truth, claims in zip(group.truths, found, strict=True):
            own = {claim.text for claim in split_claims(truth.caption)}
            for claim in claims:
                (true if claim.text in own else false).append(claim.verdict == "unsupported")
    return false, true


def _add(result: Result, row: str, held: Sequence[bool], asked: float, is_least: bool) -> None:
    values = np.array(held, dtype=np.float64)
    rng = np.random.default_rng(0)
    means = [values[rng.integers(len(values), size=len(values))].mean() for _ in range(_RESAMPLES)]
    low, high = np.quantile(means, [0.025, 0.975])
    share = float(values.mean())
    reached = share >= asked if is_least else share <= asked
    words = f"{'at least' if is_least else 'at most'} {asked:g}"
    result.rows.append(Row(row, words, f"{share:.4f} ({low:.4f} to {high:.4f}) of {len(values)}", reached))
    result.raw[row] = share
