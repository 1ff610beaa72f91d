"""Measure the demo models on unseen pictures, using the public loaders.

`python -m interrogator.demo.measure` prints one JSON object for new seeds and one for combinations held out of
training; its `tags` are for each tag the pictures it is true of, precision, and recall.
"""

from __future__ import annotations

import argparse
import json
import sys
from collections.abc import Callable, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from . import CAPTIONER_DIR, ENCODER_DIR
from .attributes import MEDIUMS, Creature, parse_caption
from .creatures import creature
from .tag_figures import TagFigures, figures_by_tag, tag_pictures

if TYPE_CHECKING:
    from PIL import Image
    from torch import Tensor

FIRST_SEED = 2_000_000
"""First seed of the measurement; training starts at 10,000,000."""

_UNTAUGHT_NOUNS = tuple(
    """
    acorn ankle attic bagel barrel beacon blanket blossom bucket cabin canyon caravan cavern cellar chimney cobbler
    compass cradle curtain dagger donkey drizzle eclipse envelope fiddle
    """.split()
)
_UNTAUGHT_MODIFIERS = ("ancient", "brittle", "curious", "dusty", "eager", "frosty", "gentle", "humid")

ATTRIBUTES = ("kind", "color", "feature", "feature_color", "background", "medium")


@dataclass(frozen=True)
class Figures:
    """The results for one draw; all shares are 0 … 1.

    `right` is the share of captions with the right value, for each attribute; for `feature` and `feature_color`, among
    creatures with a feature. `worst` is the share for the weakest class of each attribute. `invented` is the share of
    featureless creatures whose caption names a feature.
    """

    pictures: int
    exact: float
    right: dict[str, float]
    worst: dict[str, float]
    worst_class: dict[str, str]
    invented: float
    medium_first: float
    medium_above_untaught: float
    true_above_exchanged: float


def untaught_phrases() -> list[str]:
    """200 two-word phrases of ordinary words that do not occur in training."""
    return [f"{first} {second}" for first in _UNTAUGHT_MODIFIERS for second in _UNTAUGHT_NOUNS]


def measure(count: int = 300, only_held_out: bool | None = False, first_seed: int = FIRST_SEED) -> Figures:
    """Draw `count` pictures and measure both models in this folder on them."""
    drawn = [creature(first_seed + i, only_held_out=only_held_out) for i in range(count)]
    images = [image for image, _ in drawn]
    truths = [truth for _, truth in drawn]
    captions = caption_pictures(images)
    first, above, preferred = _encoder_figures(images, truths)
    return Figures(
        pictures=count,
        exact=_share([caption == truth.caption for caption, truth in zip(captions, truths, strict=True)]),
        **_caption_figures(captions, truths),
        medium_first=first,
        medium_above_untaught=above,
        true_above_exchanged=preferred,
    )


def measure_tags(
    count: int = 300, only_held_out: bool | None = False, first_seed: int = FIRST_SEED
) -> list[TagFigures]:
    """Draw `count` pictures and measure the tagger on them."""
    drawn = [creature(first_seed + i, only_held_out=only_held_out) for i in range(count)]
    return figures_by_tag(tag_pictures([image for image, _ in drawn]), [truth for _, truth in drawn])


def caption_pictures(images: Sequence[Image.Image], folder: Path = CAPTIONER_DIR) -> list[str]:
    """Greedy captions through transformers' ordinary loading calls."""
    import torch
    from transformers import BertTokenizerFast, BlipForConditionalGeneration, BlipImageProcessor

    model = BlipForConditionalGeneration.from_pretrained(str(folder)).eval()
    processor = BlipImageProcessor.from_pretrained(str(folder))
    tokenizer = BertTokenizerFast.from_pretrained(str(folder))
    captions: list[str] = []
    with torch.inference_mode():
        for start in range(0, len(images), 100):
            pixels = processor(images=list(images[start : start + 100]), return_tensors="pt").pixel_values
            ids = model.generate(pixel_values=pixels, max_new_tokens=32, num_beams=1, do_sample=False)
            captions += [text.strip() for text in tokenizer.batch_decode(ids, skip_special_tokens=True)]
    return captions


def load_encoder(folder: Path = ENCODER_DIR) -> tuple[Any, Any, Callable[[list[str]], Tensor]]:
    """Model, image preprocessing and tokenizer through open_clip's `local-dir:`."""
    import open_clip

    model, _, preprocess = open_clip.create_model_and_transforms(f"local-dir:{folder}")
    return model.eval(), preprocess, open_clip.get_tokenizer(f"local-dir:{folder}")


def _caption_figures(captions: list[str], truths: list[Creature]) -> dict[str, Any]:
    right: dict[str, float] = {}
    worst: dict[str, float] = {}
    worst_class: dict[str, str] = {}
    parsed = [parse_caption(caption) for caption in captions]
    for name in ATTRIBUTES:
        by_class: dict[str, list[bool]] = {}
        for named, truth in zip(parsed, truths, strict=True):
            if getattr(truth, name) is not None:
                hit = named is not None and getattr(named, name) == getattr(truth, name)
                by_class.setdefault(getattr(truth, name), []).append(hit)
        right[name] = _share([hit for hits in by_class.values() for hit in hits])
        worst_class[name] = min(by_class, key=lambda value: _share(by_class[value]))
        worst[name] = _share(by_class[worst_class[name]])
    plain = [
        named is None or named.feature is not None
        for named, truth in zip(parsed, truths, strict=True)
        if not truth.feature
    ]
    return {"right": right, "worst": worst, "worst_class": worst_class, "invented": _share(plain)}


def _encoder_figures(images: Sequence[Image.Image], truths: list[Creature]) -> tuple[float, float, float]:
    import torch

    model, preprocess, tokenizer = load_encoder()

    def texts(phrases: list[str]) -> Tensor:
        parts = [
            model.encode_text(tokenizer(phrases[i : i + 100]), normalize=True) for i in range(0, len(phrases), 100)
        ]
        return torch.cat(parts)

    with torch.inference_mode():
        embeddings = torch.cat(
            [model.encode_image(preprocess(image).unsqueeze(0), normalize=True) for image in images]
        )  # [N, D]
        mediums = embeddings @ texts(list(MEDIUMS)).T  # [N, mediums]
        strangest = (embeddings @ texts(untaught_phrases()).T).max(-1).values  # [N]
        true = torch.tensor([list(MEDIUMS).index(truth.medium) for truth in truths])
        own = mediums.gather(1, true.unsqueeze(1)).squeeze(1)
        pairs = [(i, truth, _with_swapped_colors(truth)) for i, truth in enumerate(truths) if truth.feature]
        rows = embeddings[[i for i, _, _ in pairs]]
        right = (rows * texts([truth.caption for _, truth, _ in pairs])).sum(-1)
        wrong = (rows * texts([other.caption for _, _, other in pairs])).sum(-1)
    first = (mediums.argmax(-1) == true).float().mean().item()
    return first, (own > strangest).float().mean().item(), (right > wrong).float().mean().item()


def _with_swapped_colors(truth: Creature) -> Creature:
    """The same creature with body and feature colours swapped."""
    color = truth.feature_color or truth.color
    return Creature(truth.kind, color, truth.feature, truth.color, truth.background, truth.medium)


def _share(hits: list[bool]) -> float:
    return sum(hits) / len(hits) if hits else 1.0


def main() -> None:
    """Print the figures of both draws as JSON, one object per line."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--count", type=int, default=300, help="pictures in each draw")
    count = parser.parse_args().count
    for draw, only_held_out in (("new seeds", False), ("held-out combinations", True)):
        tags = {row.tag: [row.true, row.precision, row.recall] for row in measure_tags(count, only_held_out)}
        figures = {"draw": draw, **asdict(measure(count, only_held_out)), "tags": tags}
        sys.stdout.write(json.dumps(_rounded(figures)) + "\n")


def _rounded(value: Any) -> Any:
    if isinstance(value, dict):
        return {key: _rounded(part) for key, part in value.items()}
    if isinstance(value, list):
        return [_rounded(part) for part in value]
    return round(value, 4) if isinstance(value, float) else value


if __name__ == "__main__":
    main()
