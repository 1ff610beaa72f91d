"""A planted world: embeddings with a modality gap, hubs and unequal base rates, whose truth is known. Takes seconds."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
import torch

from ..evidence import Calibration

Values = npt.NDArray[np.float32]
Truth = npt.NDArray[np.bool_]


@dataclass(frozen=True)
class Planted:
    """Images and texts around the same concepts.

    Attributes:
        references, images: unit rows [R, D] and [M, D].
        phrases: unit rows [P, D], one for each concept.
        claims: unit rows [C, D] of what captions of the references claim, worded otherwise than the phrases.
        claimed: [R, C], whether the caption of a reference has the claim.
        true: [M, P], whether a phrase is true of an image.
    """

    references: Values
    images: Values
    phrases: Values
    claims: Values
    claimed: Truth
    true: Truth


def planted(
    seed: int, hubs: float = 0.25, gap: float = 1.0, noise: float = 0.8, concepts: int = 400, width: int = 128,
    references: int = 400, images: int = 300,
) -> Planted:  # fmt: skip
    """Draw a world.

    Args:
        hubs: scale of the exponentially distributed pull of each text towards all images.
        gap: strength of the two directions that images and texts have in common among themselves.
        noise: length of what an image has beside its concepts.
        concepts: base rates are spread evenly in their logarithm from 0.2 % to 10 %.
    """
    rng = np.random.default_rng(seed)
    meaning = _unit(rng.normal(size=(concepts, width)))
    of_images, of_texts = _unit(rng.normal(size=(2, width)))
    rates = np.exp(rng.uniform(np.log(0.002), np.log(0.1), concepts))

    def draw_images(count: int) -> tuple[Values, Truth]:
        true = rng.random((count, concepts)) < rates
        own = true @ meaning + noise * _unit(rng.normal(size=(count, width)))
        return _unit(2 * gap * of_images + own), true

    def draw_texts() -> Values:
        pull = hubs * rng.exponential(size=(concepts, 1))
        return _unit(meaning + gap / 2 * of_texts + pull * of_images + 0.3 * _unit(rng.normal(size=(concepts, width))))

    known, known_true = draw_images(references)
    new, new_true = draw_images(images)
    phrases, claims = draw_texts(), draw_texts()
    claimed = np.zeros_like(known_true)
    for row, true in enumerate(known_true):
        there = np.flatnonzero(true)
        claimed[row, rng.choice(there, min(4, len(there)), replace=False)] = True
    used = claimed.any(axis=0)
    return Planted(known, new, phrases, claims[used], claimed[:, used], new_true)


def f1_of_top(scores: Values, true: Truth, number: int) -> float:
    """F1 of the `number` highest scores [M, P] of each image."""
    right, chosen = counts_of_top(scores, true, number)
    return float(sum(right) / sum(chosen))


def counts_of_top(scores: Values, true: Truth, number: int) -> tuple[list[float], list[float]]:
    """Of each image the two parts of F1: twice the true phrases among the `number` highest, and those plus all true."""
    chosen = np.zeros_like(true)
    np.put_along_axis(chosen, np.argsort(-scores, axis=1, kind="stable")[:, :number], True, axis=1)
    right = 2.0 * (chosen & true).sum(axis=1)
    every = (chosen.sum(axis=1) + true.sum(axis=1)).astype(np.float64)
    return right.tolist(), every.tolist()


def calibrated(world: Planted) -> Calibration:
    """The calibration of a planted world, from its references and what their captions claim."""
    captions = [", ".join(f"claim{number}" for number in np.flatnonzero(row)) for row in world.claimed]
    return Calibration.of(
        torch.from_numpy(world.references),
        captions,
        lambda texts: torch.from_numpy(world.claims[[int(text.removeprefix("claim")) for text in texts]]),
    )


def _unit(rows: npt.NDArray[np.float64]) -> Values:
    found: Values = (rows / np.linalg.norm(rows, axis=-1, keepdims=True)).astype(np.float32)
    return found
