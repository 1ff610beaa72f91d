"""One wrong attribute put into the true caption of a creature: how often it is found, and true claims are suspected."""

from __future__ import annotations

from collections.abc import Sequence

from benchmarks.plan import Task
from benchmarks.results import Result, Row
from benchmarks.works import sides
from interrogator import load
from interrogator.evaluation.bootstrap import RESAMPLES, Estimate
from interrogator.evaluation.creature_claims import Altered, suspected
from interrogator.evaluation.creature_prompts import FIRST_SEEDS
from interrogator.evidence import ClaimChecker

_FOUND, _ALARMS = 0.97, 0.01


def run(task: Task) -> Result:
    """Check wrong captions, with the calibration of the encoder, with one of their own, and without any."""
    result = sides.empty(task)
    ci = load("demo", captioner="none", tagger="none", banks=(), device="cpu", cache_dir=task.scratch)
    bare = ClaimChecker(ci.encoder)
    for held_out in (False, True):
        drawn = [
            Altered.of(ci, seed, task.sizes.creatures, held_out=held_out) for seed in FIRST_SEEDS[: task.sizes.draws]
        ]
        ways = {
            "calibrated encoder": [ci.claim_checker()] * len(drawn),
            "calibrated by these captions": [bare.learned(each.rows, each.captions) for each in drawn],
            "no calibration": [bare] * len(drawn),
        }
        for way, checkers in ways.items():
            false: list[bool] = []
            true: list[bool] = []
            for group, checker in zip(drawn, checkers, strict=True):
                found = suspected(group, checker)
                false += found[0]
                true += found[1]
            where = f"{'held-out' if held_out else 'unseen'} creatures, {way}"
            _add(result, f"wrong attributes found: {where}", false, _FOUND, True)
            _add(result, f"false alarms a claim: {where}", true, _ALARMS, False)
    result.notes.append(
        f"Creatures: {task.sizes.creatures} for each of {task.sizes.draws} seeds, each with its true caption in which"
        " one attribute was replaced by another value, all equally likely. Captions are split by the product. A claim"
        " is found if its verdict is unsupported; unknown is not counted as found. 95 % intervals by"
        f" {RESAMPLES} bootstrap samples of claims."
    )
    return result


def _add(result: Result, row: str, held: Sequence[bool], asked: float, is_least: bool) -> None:
    share = Estimate.of(held)
    reached = share.value >= asked if is_least else share.value <= asked
    words = f"{'at least' if is_least else 'at most'} {asked:g}"
    result.rows.append(Row(row, words, f"{share} of {len(held)}", reached))
    result.raw[row] = share.value
