"""Ways to tell from similarities which phrases are true, beside ours, in three worlds.

Each way sees what a calibration sees: similarities of reference images with phrases, and with what captions claim of
them. It gives every pair of a new image and a phrase a score, some of them a probability, and says which it accepts.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
import torch

from benchmarks.plan import Task
from benchmarks.results import Result, Table
from benchmarks.works import sides
from interrogator import Interrogator, Reading, load
from interrogator.demo import Creature, creature
from interrogator.demo.calibrate import FIRST_SEED as FIRST_REFERENCE
from interrogator.evaluation.creature_prompts import with_banks
from interrogator.evaluation.creature_truth import is_true
from interrogator.evaluation.planted import f1_of_top, planted
from interrogator.evidence import Calibration, PhraseEvidence, claims_of
from interrogator.evidence.calibration import lower_quartile
from interrogator.evidence.logistic import fit, log_odds, sigmoid
from interrogator.rows import Rows

Values = npt.NDArray[np.float32]
Truth = npt.NDArray[np.bool_]

FIRST_SEED = 2_000_000
HUBS = (0.0, 0.25, 0.6)
STRICTNESS = 0.05
# Nearest-neighbour normalisation takes off this much of the mean of the most similar references.
_NEIGHBOURS, _WEIGHT = 16, 0.5


@dataclass(frozen=True)
class World:
    """Unit rows of references [R, D], claims [C, D], phrases [P, D] and new images [M, D], and what is true.

    Attributes:
        claimed: [R, C], whether the caption of a reference has the claim.
        groups: positions of the phrases of each bank.
        true: [M, P].
    """

    references: Values
    claims: Values
    claimed: Truth
    phrases: Values
    groups: Sequence[npt.NDArray[np.int64]]
    images: Values
    true: Truth


@dataclass(frozen=True)
class Told:
    """What a way says of the pairs [M, P] of images and phrases; probabilities where it knows them."""

    scores: Values
    accepted: Truth
    probability: npt.NDArray[np.float64] | None = None


def run(task: Task) -> Result:
    """Compare all ways in the demo's world, with real banks beside, and in planted worlds."""
    result = sides.empty(task)
    demo = load("demo", device="cpu", cache_dir=task.scratch)
    creatures = _Creatures.drawn(demo, task.sizes.creatures)
    worlds: dict[str, list[World]] = {
        "the demo, its own banks": [creatures.world(demo, demo)],
        "the demo, real banks beside": [creatures.world(demo, with_banks(demo, True, task.sizes.list_lines))],
    }
    for hubs in HUBS:
        worlds[f"planted, hubs {hubs}"] = [_planted(seed, hubs, task.sizes.creatures) for seed in range(3)]
    for name, drawn in worlds.items():
        header = ["way", "AUC", "F1 at the same number", "share true of those accepted", "true ones accepted"]
        table = Table(name[0].upper() + name[1:], [*header, "calibration error"], [])
        for way, tell in WAYS.items():
            figures = [_figures(tell(world), world.true) for world in drawn]
            table.rows.append([way, *("" if np.isnan(each) else f"{each:.3f}" for each in np.mean(figures, axis=0))])
            result.raw[f"{name}: {way}"] = figures
        result.tables.append(table)
    result.notes.append(
        f"Creatures: {task.sizes.creatures} unseen and as many held-out ones. References: creatures of the demo"
        " calibration with the demo captioner's words. Planted worlds: means of three seeds. F1 is of the highest"
        " scores of each image, as many as are true of an image on average. Accepted: by the cut that best parts own"
        " claims from others', or with an expected share of false ones of 5 %. Calibration error: what probabilities"
        " are off by, over 20 bins, in units of the number of true phrases."
    )
    return result


@dataclass(frozen=True)
class _Creatures:
    references: Values
    captions: list[str]
    images: Values
    truths: list[Creature]

    @classmethod
    def drawn(cls, demo: Interrogator, count: int) -> _Creatures:
        known = [creature(FIRST_REFERENCE + number, only_held_out=False)[0] for number in range(count + 100)]
        readings = demo.read(known, {"captioner", "encoder"})
        pairs = [
            creature(FIRST_SEED + number, only_held_out=held_out)
            for held_out in (False, True)
            for number in range(count)
        ]
        new = demo.read([image for image, _ in pairs], {"encoder"})
        return cls(_rows(readings), [each.caption for each in readings], _rows(new), [truth for _, truth in pairs])

    def world(self, demo: Interrogator, ci: Interrogator) -> World:
        own = {text for bank in demo.banks for text in bank.phrases}
        table = ci.table()
        merged = np.concatenate(table.groups())
        texts = table.texts_at(merged.tolist())
        ends = np.cumsum([0, *map(len, table.groups())])
        groups = [np.arange(start, end) for start, end in zip(ends, ends[1:], strict=False)]
        claims = list(dict.fromkeys(claim for caption in self.captions for claim in claims_of(caption)))
        claimed = np.array([[claim in claims_of(caption) for claim in claims] for caption in self.captions])
        true = np.array([[is_true(text, truth, text in own) for text in texts] for truth in self.truths])
        rows = demo.encoder.encode_texts(claims).numpy()
        phrases = table.embeddings(merged).numpy()
        return World(self.references, rows, claimed, phrases, groups, self.images, true)


def _rows(readings: Sequence[Reading]) -> Values:
    rows: Values = torch.stack([each.embedding for each in readings if each.embedding is not None]).numpy()
    return rows


def _planted(seed: int, hubs: float, count: int) -> World:
    drawn = planted(seed, hubs, images=count, references=max(40, count))
    groups = [np.arange(len(drawn.phrases))]
    return World(drawn.references, drawn.claims, drawn.claimed, drawn.phrases, groups, drawn.images, drawn.true)


def _corrected(correct: Callable[[Values, Values], Values]) -> Callable[[World], Told]:
    """A cut on similarities from which a bias was taken off, where own claims part best from others'.

    correct: similarities [n, T] less the bias of texts, given those of the references [R, T].
    """

    def tell(world: World) -> Told:
        known = world.references @ world.claims.T
        of_claims = correct(known, known)
        scores = correct(world.images @ world.phrases.T, world.references @ world.phrases.T)
        return Told(scores, scores >= _best_cut(of_claims[world.claimed], of_claims[~world.claimed]))

    return tell


def _best_cut(true: Values, false: Values) -> float:
    """Where the share of true ones above and that of false ones below are highest together."""
    cuts = np.quantile(true, np.linspace(0, 1, 400))
    above = 1 - np.searchsorted(np.sort(true), cuts) / len(true)
    below = np.searchsorted(np.sort(false), cuts) / len(false)
    return float(cuts[int(np.argmax(above + below))])


def _normalised(similarity: Values, known: Values) -> Values:
    nearest = np.partition(known, -_NEIGHBOURS, axis=0)[-_NEIGHBOURS:]
    return np.asarray(similarity - _WEIGHT * nearest.mean(axis=0))


def _mismatched(world: World) -> Told:
    """Those that stand out from pairs of an image and another's claim, at a false discovery rate for each image."""
    known = world.references @ world.claims.T
    null = np.sort(known[~world.claimed])
    scores = world.images @ world.phrases.T
    p = 1 - np.searchsorted(null, scores) / (len(null) + 1)  # [M, P]
    order = np.sort(p, axis=1)
    allowed = order <= STRICTNESS * np.arange(1, p.shape[1] + 1) / p.shape[1]
    number = np.where(allowed.any(axis=1), p.shape[1] - np.argmax(allowed[:, ::-1], axis=1), 0)
    least = np.where(number > 0, order[np.arange(len(order)), np.maximum(number - 1, 0)], -1.0)
    return Told(scores, p <= least[:, None])


def _isotonic(world: World) -> Told:
    """Monotone regression of own and other claims (pool adjacent violators), in place of the logistic curve."""
    known = (world.references @ world.claims.T).ravel()
    order = np.argsort(known, kind="stable")
    pools: list[tuple[float, float, float]] = []  # share of own claims, how many claims, the highest similarity
    for similarity, target in zip(known[order].tolist(), world.claimed.ravel()[order].tolist(), strict=True):
        share, count = float(target), 1.0
        while pools and pools[-1][0] >= share:
            before, other, _ = pools.pop()
            share, count = (before * other + share * count) / (other + count), other + count
        pools.append((share, count, similarity))
    shares, counts, ends = np.array(pools).T
    prior = log_odds(float(world.claimed.mean()))
    ratios = np.array([log_odds(each) - prior for each in (shares * counts + 0.5) / (counts + 1)])

    def ratio(similarity: Values) -> npt.NDArray[np.float64]:
        return np.asarray(ratios[np.minimum(np.searchsorted(ends, similarity), len(ratios) - 1)])

    return _with_prior(ratio(world.images @ world.phrases.T), ratio(world.references @ world.phrases.T), world)


def _with_prior(ratio: npt.NDArray[np.float64], known: npt.NDArray[np.float64], world: World) -> Told:
    """Log likelihood ratios with base rates by bank from those of the references, as ours."""
    odds = np.full(ratio.shape, -np.inf)
    for group in world.groups:
        rate = float(world.claimed.mean())
        for _ in range(100):
            rate = max(float(sigmoid(known[:, group] + log_odds(rate)).mean()), 1e-6)
        odds[:, group] = ratio[:, group] + log_odds(rate)
    probability = sigmoid(odds)
    order = np.sort(probability.ravel())[::-1]
    allowed = np.flatnonzero(np.cumsum(1 - order) <= STRICTNESS * np.arange(1, len(order) + 1))
    least = order[allowed[-1]] if len(allowed) else 2.0
    return Told(odds.astype(np.float32), probability >= least, probability)


def _alike(world: World) -> Told:
    """Logistic regression in which own and other claims count alike, and captions have no mistakes."""
    known = world.references @ world.claims.T
    features = np.stack([known, np.broadcast_to(lower_quartile(known), known.shape)], axis=-1).reshape(-1, 2)
    slope, weight, intercept = fit(features.astype(np.float64), world.claimed.ravel())
    if weight > 0:
        slope, intercept = fit(features[:, :1].astype(np.float64), world.claimed.ravel())
        weight = 0.0
    of_phrases = world.references @ world.phrases.T
    constant = weight * lower_quartile(of_phrases) + intercept
    return _with_prior(slope * (world.images @ world.phrases.T) + constant, slope * of_phrases + constant, world)


def _ours(world: World) -> Told:
    own = [np.flatnonzero(row) for row in world.claimed]
    has = [number for number, each in enumerate(own) if len(each)]
    references = torch.from_numpy(world.references[has])
    calibration = Calibration.of_claims(references, torch.from_numpy(world.claims), [own[number] for number in has])
    evidence = PhraseEvidence(calibration, Rows([torch.from_numpy(world.phrases).half()]), world.groups)
    positions = np.arange(len(world.phrases))
    odds = np.stack([evidence.log_odds(row, positions) for row in world.images @ world.phrases.T])
    usual = ~np.isin(positions, evidence.candidates(np.full(len(positions), 1.0, np.float32), 0.0, -100.0))
    return Told(odds, (odds >= evidence.level(STRICTNESS)) & ~usual, sigmoid(odds))


WAYS: dict[str, Callable[[World], Told]] = {
    "cut on the similarity": _corrected(lambda similarity, known: similarity),
    "mean off, cut": _corrected(lambda similarity, known: similarity - known.mean(axis=0)),
    "z-score, cut": _corrected(lambda similarity, known: (similarity - known.mean(axis=0)) / known.std(axis=0)),
    "nearest-neighbour normalisation, cut": _corrected(_normalised),
    "null of mismatched pairs": _mismatched,
    "isotonic regression": _isotonic,
    "logistic regression, kinds count alike": _alike,
    "ours: robust logistic regression": _ours,
}


def _figures(told: Told, true: Truth) -> tuple[float, ...]:
    number = max(1, round(float(true.sum(axis=1).mean())))
    hits = float((told.accepted & true).sum())
    accepted = hits / told.accepted.sum() if told.accepted.any() else float("nan")
    error = float("nan")
    if told.probability is not None:
        bins = np.minimum((told.probability * 20).astype(np.int64), 19)
        gap = np.bincount(bins.ravel(), (told.probability - true).ravel(), 20)
        error = float(np.abs(gap).sum() / true.sum())
    return _auc(told.scores, true), f1_of_top(told.scores, true, number), accepted, hits / float(true.sum()), error


def _auc(scores: Values, true: Truth) -> float:
    """Area under the curve over all pairs; ties count half."""
    values, inverse, counts = np.unique(scores.ravel(), return_inverse=True, return_counts=True)
    ends = np.cumsum(counts)
    ranks = (ends - (counts - 1) / 2)[inverse]
    own = true.ravel()
    count = int(own.sum())
    return float((ranks[own].sum() - count * (count + 1) / 2) / (count * (own.size - count)))
