"""How much of a prompt is true: modes precise and best on creatures whose truth is known, and a planted world."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import torch

from benchmarks.plan import Task
from benchmarks.results import Result, Row
from benchmarks.works import sides
from interrogator import Interrogator, load
from interrogator.evaluation.bootstrap import RESAMPLES
from interrogator.evaluation.creature_prompts import FIGURES, FIRST_SEEDS, Drawn, estimate, judged, with_banks
from interrogator.evaluation.creature_truth import is_true
from interrogator.evaluation.planted import calibrated, f1_of_top, planted

STRICTNESS = (0.01, 0.05, 0.2)
_MOST_FALSE_PICTURES = 0.05


# By figure, whether the caption is given, and whether real banks are there: what mode precise is asked for, and whether
# this is the least or the most.
_ASKED: dict[tuple[str, bool, bool], tuple[float, bool]] = {
    ("share of true phrases", True, False): (0.98, True),
    ("share of true phrases", False, False): (0.98, True),
    ("share of true phrases", True, True): (0.95, True),
    ("share of true phrases", False, True): (0.95, True),
    ("facts stated", True, False): (0.97, True),
    ("facts stated", False, False): (0.93, True),
    ("pictures with a false phrase", True, False): (_MOST_FALSE_PICTURES, False),
    ("pictures with a false phrase", False, False): (_MOST_FALSE_PICTURES, False),
}


def run(task: Task) -> Result:
    """Judge the prompts of both modes in both worlds, what is accepted, and the planted world."""
    result = sides.empty(task)
    demo = load("demo", device="cpu", cache_dir=task.scratch)
    drawn = [
        Drawn.of(demo, seed, task.sizes.creatures, held_out=held_out)
        for seed in FIRST_SEEDS[: task.sizes.draws]
        for held_out in (False, True)
    ]
    for real in (False, True):
        ci = with_banks(demo, real, task.sizes.list_lines)
        own = {text for bank in demo.banks for text in bank.phrases}
        for captioned in (True, False):
            _add_modes(result, ci, own, drawn, task, captioned, real)
        _add_accepted(result, ci, own, drawn, real)
        _add_stated(result, ci, own, drawn, task.sizes.creatures // (3 if real else 1), real)
    _add_planted(result, task)
    result.notes.append(
        f"Creatures: {task.sizes.creatures} unseen ones and as many of combinations held out of training for each of"
        f" {task.sizes.draws} seeds, mode best on the first {task.sizes.best_creatures} of each; 95 % intervals by"
        f" {RESAMPLES} bootstrap samples of pictures. Phrases of real banks count as false unless they say what a"
        " phrase of the demo banks says. The calibration is the demo encoder's own, of 400 other creatures and the"
        " demo captioner's words."
    )
    result.notes.append(
        "A prompt states the likeliest of the phrases that are accepted, at most one of those that say the same or"
        " exclude each other, and none that is likelier false than four times the strictness, or than true; so it has"
        " fewer false ones than the strictness, which is the share among those accepted."
    )
    return result


def _add_modes(
    result: Result, ci: Interrogator, own: set[str], drawn: Sequence[Drawn], task: Task, captioned: bool, real: bool
) -> None:
    precise = judged(ci, "precise", own, drawn, captioned)
    # With thousands of phrases a chain takes seconds a picture.
    most = max(1, task.sizes.best_creatures // (6 if real else 1))
    best = judged(ci, "best", own, [each.first(most) for each in drawn], captioned)
    world = _world(real)
    caption = "own caption" if captioned else "no caption"
    for name in FIGURES:
        ours, theirs = estimate(name, precise), estimate(name, best)
        asked, least = _ASKED.get((name, captioned, real), (0.0, True))
        if name == "tokens" and not real:
            asked, least = theirs.value * (0.75 if captioned else 1.0), False
        reached = (ours.value >= asked if least else ours.value <= asked) if asked else None
        words = f"{'at least' if least else 'at most'} {asked:.4g}" if asked else ""
        measured = f"precise {ours}, best {theirs}"
        result.rows.append(Row(f"{name}: {world}, {caption}", words, measured, reached))
        result.raw[f"{name}, {world}, {caption}"] = {"precise": ours.value, "best": theirs.value}


def _add_stated(result: Result, ci: Interrogator, own: set[str], drawn: Sequence[Drawn], most: int, real: bool) -> None:
    """The share of false phrases among those that prompts state at each strictness."""
    for strictness in STRICTNESS:
        found = [
            each for captioned in (True, False)
            for each in judged(ci, "precise", own, [group.first(most) for group in drawn], captioned, strictness)
        ]  # fmt: skip
        share = 1 - estimate("share of true phrases", found).value
        row = f"share of false phrases in prompts at strictness {strictness}: {_world(real)}"
        count = sum(each.phrases for each in found)
        result.rows.append(Row(row, f"at most {strictness:g}", f"{share:.4f} of {count}", bool(share <= strictness)))


def _world(real: bool) -> str:
    return "demo and real banks" if real else "demo banks"


def _add_accepted(result: Result, ci: Interrogator, own: set[str], drawn: Sequence[Drawn], real: bool) -> None:
    """The share of false phrases among those accepted at each strictness, beside the share that was stated."""
    table, evidence = ci.table(), ci.evidence()
    assert evidence is not None
    for strictness in STRICTNESS:
        level = evidence.level(strictness)
        wrong = count = 0
        for group in drawn:
            for reading, truth in zip(group.readings, group.truths, strict=True):
                assert reading.embedding is not None
                scores = table.scores(reading.embedding)
                positions = evidence.candidates(scores.rough, scores.bound, level)
                odds = evidence.log_odds(scores.at(positions).numpy(), positions)
                texts = table.texts_at(positions[odds >= level].tolist())
                count += len(texts)
                wrong += sum(not is_true(text, truth, text in own) for text in texts)
        share = wrong / max(count, 1)
        row = f"share of false phrases among those accepted at strictness {strictness}: {_world(real)}"
        asked = f"{strictness / 2:g} to {strictness * 2:g}"
        reached = strictness / 2 <= share <= strictness * 2
        result.rows.append(Row(row, f"within {asked}", f"{share:.4f} of {count}", reached))


def _add_planted(result: Result, task: Task) -> None:
    """F1 of the likeliest phrases beside the most similar ones, at the number of true ones."""
    for hubs in (0.0, 0.25, 0.6):
        pairs = []
        for seed in range(task.sizes.draws):
            world = planted(seed, hubs, images=task.sizes.creatures, references=max(40, task.sizes.creatures))
            similarity = world.images @ world.phrases.T
            calibration = calibrated(world)
            odds = calibration.log_ratio(similarity, calibration.bias(torch.from_numpy(world.phrases)))
            number = round(float(world.true.sum(axis=1).mean()))
            pairs.append((f1_of_top(odds, world.true, number), f1_of_top(similarity, world.true, number)))
        ours, raw = np.mean(pairs, axis=0)
        asked = "10 points" if hubs else "no loss"
        words = f"evidence {ours:.3f}, similarity {raw:.3f} ({100 * (ours - raw):+.1f} points, {len(pairs)} seeds)"
        reached = bool(ours - raw >= (0.1 if hubs else 0.0)) if task.sizes.creatures >= 100 else None
        result.rows.append(Row(f"F1 of the first phrases: planted world, hubs {hubs}", asked, words, reached))
