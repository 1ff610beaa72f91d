"""Train the demo models from scratch: `python -m interrogator.demo.train --out DIR`.

Encoder and captioner are trained together (`--only pair`): draws the pictures once, checks that a plain classifier can
recognise every attribute, and trains a classifier that becomes the image tower of both models. Then the encoder's text
tower learns the claims of texts, its two towers are trained contrastively, and the captioner's decoder learns to use
the image tower, first alone, then together with it.

The tagger (`--only tagger`) learns by itself, from larger pictures: one model, one stage.
"""

from __future__ import annotations

import argparse
import logging
import os
import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from .training.data import Pictures

LOGGER = logging.getLogger("interrogator")


@dataclass(frozen=True)
class Plan:
    """How long each stage trains; the models in this folder were made with these numbers."""

    pictures: int = 24_000
    check_epochs: float = 10.0
    plain_epochs: float = 6.0
    augmented_epochs: float = 24.0
    text_steps: int = 700
    contrastive_epochs: float = 3.0
    decoder_epochs: float = 1.0
    captioner_epochs: float = 8.0
    rate: float = 1.2e-3
    fine_rate: float = 4e-4
    tagger_pictures: int = 40_000
    tagger_phases: tuple[tuple[int, float, float], ...] = ((64, 5.0, 3e-3), (96, 2.0, 1.5e-3), (96, 1.0, 8e-4))
    """Side of the pictures in pixels, epochs and rate. Small pictures first: they take less than half the time."""


def train_tagger(out: Path, plan: Plan) -> None:
    """Train the tagger and write `tagger` under `out`."""
    from .training import data, tagger

    LOGGER.info("drawing %d pictures for the tagger", plan.tagger_pictures)
    pictures = data.draw(plan.tagger_pictures, size=tagger.IMAGE_SIZE)
    model = tagger.prepare(out / "tagger")
    for size, epochs, rate in plan.tagger_phases:
        tagger.train(model, pictures, size, epochs, rate)
    tagger.save(model, out / "tagger", pictures.truths)


def train_pair(out: Path, plan: Plan) -> None:
    """Train encoder and captioner and write `encoder` and `captioner` under `out`."""
    import torch

    from .training import captioner, classifier, data, encoder

    torch.manual_seed(0)
    LOGGER.info("drawing %d pictures", plan.pictures)
    pictures = data.draw(plan.pictures)
    unseen = data.draw(1_200, first_seed=data.FIRST_SEED - 1_000_000)
    clip: Any = encoder.prepare(out / "encoder")
    _check_pictures(pictures, unseen, plan)
    tower, projection = clip.visual, clip.visual.proj
    tower.proj = None
    heads = classifier.Heads(encoder.VISION["width"])
    # Unaugmented pictures first: a transformer of 16-pixel patches learns shifted ones several times slower.
    classifier.fit(tower, heads, pictures, plan.plain_epochs, plan.rate, data.normalized)
    classifier.fit(tower, heads, pictures, plan.augmented_epochs, plan.rate, data.augmented)
    classifier.log_accuracies(classifier.accuracies(classifier.predictions(tower, heads, unseen), unseen))

    blip: Any = captioner.prepare(out / "captioner")
    captioner.take_image_tower(blip, tower)
    tokens = (out / "captioner" / "vocab.txt").read_text(encoding="utf-8").splitlines()
    captioner.train(blip, pictures, tokens, plan.decoder_epochs, plan.rate, train_tower=False)
    captioner.train(blip, pictures, tokens, plan.captioner_epochs, plan.fine_rate, train_tower=True)
    captioner.save(blip, out / "captioner")

    tower.proj = projection
    encoder.take_image_tower(clip, tower, heads)
    encoder.teach_text_tower(clip, out / "encoder", pictures.truths, plan.text_steps)
    encoder.train_pair(clip, out / "encoder", pictures, plan.contrastive_epochs, plan.fine_rate)
    encoder.save(clip, out / "encoder")


def _check_pictures(pictures: Pictures, unseen: Pictures, plan: Plan) -> None:
    """Train a plain classifier first: what it cannot read off the pictures, no captioner can."""
    from .training import classifier, data

    net, heads = classifier.plain_conv_net(), classifier.Heads(192)
    classifier.fit(net, heads, pictures, plan.check_epochs, plan.rate, data.normalized)
    table = classifier.accuracies(classifier.predictions(net, heads, unseen), unseen)
    classifier.log_accuracies(table)
    classifier.check(table)


STAGES: dict[str, Callable[[Path, Plan], None]] = {"pair": train_pair, "tagger": train_tagger}
"""What is trained by itself, by the name that --only takes."""


def main() -> None:
    """Read the arguments and train."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--out", type=Path, required=True, help="folder to write encoder/, captioner/ and tagger/ into")
    parser.add_argument(
        "--only", choices=tuple(STAGES), help="train only the encoder and captioner, or only the tagger"
    )
    parser.add_argument("--threads", type=int, default=os.cpu_count() or 1)
    arguments = parser.parse_args()
    logging.basicConfig(level=logging.INFO, format="%(message)s")
    import torch

    torch.set_num_threads(arguments.threads)
    begun = time.monotonic()
    for name in [arguments.only] if arguments.only else list(STAGES):
        STAGES[name](arguments.out, Plan())
    LOGGER.info("done in %.0f s", time.monotonic() - begun)


if __name__ == "__main__":
    main()
