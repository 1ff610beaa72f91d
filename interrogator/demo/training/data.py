"""Draw the training pictures once into a uint8 array, and provide augmented batches of it."""

from __future__ import annotations

from collections.abc import Iterator
from concurrent.futures import ProcessPoolExecutor
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
import torch
from PIL import Image
from torch import Tensor

from ..attributes import BACKGROUNDS, COLORS, FEATURES, KINDS, MEDIUMS, Creature
from ..creatures import creature

FIRST_SEED = 10_000_000
"""First seed of the training, far from any that a user or a test would choose."""

IMAGE_SIZE = 64
MEAN = (0.48145466, 0.4578275, 0.40821073)
STD = (0.26862954, 0.26130258, 0.27577711)
"""OpenAI CLIP's normalisation, which both the large CLIP and the large BLIP use."""

ATTRIBUTES: dict[str, tuple[str, ...]] = {
    "kind": KINDS,
    "color": tuple(COLORS),
    "feature": (*FEATURES, "none"),
    "feature_color": (*COLORS, "none"),
    "background": tuple(BACKGROUNDS),
    "medium": tuple(MEDIUMS),
}
"""Every attribute and its classes; the order is that of `labels_of` and of every head."""


@dataclass(frozen=True)
class Pictures:
    """Drawn pictures: pixels uint8 [N, 3, H, W], labels int64 [N, 6] in the order of ATTRIBUTES, and the truths."""

    pixels: Tensor
    labels: Tensor
    truths: list[Creature]


def labels_of(truth: Creature) -> list[int]:
    """The class index of each attribute."""
    return [classes.index(getattr(truth, name) or "none") for name, classes in ATTRIBUTES.items()]


def shrink(image: Image.Image, size: int = IMAGE_SIZE) -> npt.NDArray[np.uint8]:
    """A picture at a model's input size, uint8 [3, size, size], resized like in every image processor."""
    small = image.resize((size, size), Image.Resampling.BICUBIC)
    return np.asarray(small, dtype=np.uint8).transpose(2, 0, 1)


def _draw_one(job: tuple[int, bool | None, int]) -> tuple[npt.NDArray[np.uint8], Creature]:
    seed, only_held_out, size = job
    image, truth = creature(seed, only_held_out=only_held_out)
    return shrink(image, size), truth


def draw(
    count: int,
    first_seed: int = FIRST_SEED,
    only_held_out: bool | None = False,
    workers: int = 2,
    size: int = IMAGE_SIZE,
) -> Pictures:
    """`count` pictures of consecutive seeds, by default of combinations that are not held out."""
    jobs = [(first_seed + i, only_held_out, size) for i in range(count)]
    with ProcessPoolExecutor(workers) as pool:
        drawn = list(pool.map(_draw_one, jobs, chunksize=64))
    pixels = torch.from_numpy(np.stack([pixels for pixels, _ in drawn]))
    truths = [truth for _, truth in drawn]
    return Pictures(pixels, torch.tensor([labels_of(truth) for truth in truths]), truths)


def normalized(pixels: Tensor) -> Tensor:
    """uint8 [B, 3, H, W] scaled and normalised for the models."""
    mean, std = torch.tensor(MEAN).view(3, 1, 1), torch.tensor(STD).view(3, 1, 1)
    return (pixels.float() / 255.0 - mean) / std


SHIFT = 3
"""Maximum shift of training pictures, in pixels."""


def moved(pixels: Tensor) -> Tensor:
    """Pixels [B, 3, H, W] randomly mirrored and shifted, as floats: neither changes the truth about a creature."""
    flip = torch.rand(len(pixels)) < 0.5
    pixels = torch.where(flip.view(-1, 1, 1, 1), pixels.flip(-1), pixels)
    padded = torch.nn.functional.pad(pixels.float(), (SHIFT, SHIFT, SHIFT, SHIFT), mode="replicate")
    down, right = torch.randint(0, 2 * SHIFT + 1, (2, len(pixels)))
    height, width = pixels.shape[-2:]
    rows = down.view(-1, 1) + torch.arange(height)  # [B, H]
    columns = right.view(-1, 1) + torch.arange(width)  # [B, W]
    picked = torch.arange(len(pixels))
    return padded[picked.view(-1, 1, 1), :, rows[:, :, None], columns[:, None, :]].permute(0, 3, 1, 2)


def augmented(pixels: Tensor) -> Tensor:
    """Randomly mirrored and shifted, then normalised."""
    return normalized(moved(pixels))


def batches(count: int, size: int, epochs: float, generator: torch.Generator) -> Iterator[Tensor]:
    """Shuffled index batches over `epochs` passes, the last of which may be partial."""
    left = round(count * epochs / size)
    while left > 0:
        for batch in torch.randperm(count, generator=generator)[: count // size * size].view(-1, size):
            if left == 0:
                return
            left -= 1
            yield batch
