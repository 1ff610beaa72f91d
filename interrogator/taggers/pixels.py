"""How a picture becomes the numbers that a tagger reads, as data: `Input`, a family's or from the model's own files."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any, Literal

import numpy as np
import numpy.typing as npt
from PIL import Image

from ..images import to_rgb

if TYPE_CHECKING:
    import torch
    from torch import Tensor

Pixels = npt.NDArray[np.uint8]
Color = tuple[int, int, int]
Triple = tuple[float, float, float]

WHITE: Color = (255, 255, 255)
BICUBIC, BILINEAR, LANCZOS = Image.Resampling.BICUBIC, Image.Resampling.BILINEAR, Image.Resampling.LANCZOS


@dataclass(frozen=True)
class Step:
    """One change of a picture's size.

    Attributes:
        fit: pad     make it square with margins of `color`, then resize that to `size`
             keep    resize it, sides in proportion, to lie within `size`; margins of `color` fill the rest
             squash  resize it to `size`, whatever its proportions
             short   resize it, sides in proportion, until its shorter side is the smaller one of `size`
             crop    cut `size` out of the middle; black fills what lies outside
        resample: Pillow's filter.
        color: of margins, RGB.
        size: width and height; None is the size that the model takes.
        floor: whether `keep` rounds the shorter side down, and not to the nearest pixel.
    """

    fit: Literal["pad", "keep", "squash", "short", "crop"]
    resample: Image.Resampling = BICUBIC
    color: Color = WHITE
    size: tuple[int, int] | None = None
    floor: bool = False

    def __call__(self, image: Image.Image) -> Image.Image:
        """The picture, RGB, after this step."""
        assert self.size is not None
        if self.fit == "pad":
            return _padded(image, self.size, self.resample, self.color)
        if self.fit == "keep":
            return _within(image, self.size, self.resample, self.color, self.floor)
        if self.fit == "crop":
            return _middle(image, self.size)
        size = self.size if self.fit == "squash" else _shorter_side(image.size, min(self.size))
        return image if image.size == size else image.resize(size, self.resample)


@dataclass(frozen=True)
class Input:
    """How pixels go into a model.

    Attributes:
        steps: what brings a picture to the model's size, in order.
        bgr: whether the channels are blue, green, red.
        unit: whether values are scaled to 0..1 first; otherwise they stay 0..255.
        mean, std: of each channel in the model's order: subtracted, and divided by, after the scaling.
    """

    steps: tuple[Step, ...]
    bgr: bool = False
    unit: bool = True
    mean: Triple = (0.0, 0.0, 0.0)
    std: Triple = (1.0, 1.0, 1.0)

    def sized(self, width: int, height: int) -> Input:
        """The same for a model that takes pictures of this size, wherever no other size is given."""
        steps = tuple(step if step.size else replace(step, size=(width, height)) for step in self.steps)
        return replace(self, steps=steps)

    @property
    def size(self) -> tuple[int, int] | None:
        """Width and height of what the last step gives."""
        return self.steps[-1].size

    def prepare(self, image: Image.Image) -> Pixels:
        """An image of any mode and size at the model's size: RGB, uint8 [H, W, 3]. Raises ImageReadError."""
        picture = image if _is_plain(image) else to_rgb(image)  # no copy of what no step changes
        for step in self.steps:
            picture = step(picture)
        return np.asarray(picture)

    def tensor(self, prepared: Sequence[Pixels], device: torch.device, channels_first: bool = True) -> Tensor:
        """Prepared images as the model takes them: float32 [B, 3, H, W], or [B, H, W, 3], on a device.

        Bytes are moved, and scaled there: a quarter of what floats would be. In memory the channels come last either
        way, which is how convolutions are quickest.
        """
        import torch

        values = torch.from_numpy(np.stack(prepared)).to(device).float()  # [B, H, W, 3]
        if self.bgr:
            values = values.flip(-1)
        scale = 255.0 if self.unit else 1.0
        mean, std = (torch.tensor(each, device=device) * scale for each in (self.mean, self.std))  # [3]
        values = values.sub_(mean).div_(std)
        return values.permute(0, 3, 1, 2) if channels_first else values


def _is_plain(image: Image.Image) -> bool:
    """Whether a picture is upright RGB already, as `open_image` gives it: without transparency or metadata."""
    return type(image) is Image.Image and image.mode == "RGB" and not image.info and 0 not in image.size


def _padded(image: Image.Image, size: tuple[int, int], resample: Image.Resampling, color: Color) -> Image.Image:
    """`image` in the middle of a square as large as its longer side, resized to `size`."""
    width, height = image.size
    side = max(width, height)
    if width > height and size[0] == size[1]:
        # Pillow resizes rows first, then columns. Margins above and below do not change what rows become, so they are
        # added in between: the same bytes, and no square of the size of a large picture.
        image = image.resize((size[0], height), resample) if width != size[0] else image
        width = size[0]
    if width != side or height != side:
        square = Image.new("RGB", (width, side) if height < side else (side, side), color)
        square.paste(image, ((square.width - width) // 2, (side - height) // 2))
        image = square
    return image if image.size == size else image.resize(size, resample)


def _within(
    image: Image.Image, size: tuple[int, int], resample: Image.Resampling, color: Color, floor: bool
) -> Image.Image:
    ratio = min(size[0] / image.width, size[1] / image.height)
    rounded = int if floor else round
    width, height = (max(1, rounded(side * ratio + (1e-9 if floor else 0))) for side in image.size)
    if image.size != (width, height):
        image = image.resize((width, height), resample)
    if image.size == size:
        return image
    canvas = Image.new("RGB", size, color)
    canvas.paste(image, ((size[0] - width) // 2, (size[1] - height) // 2))
    return canvas


def _middle(image: Image.Image, size: tuple[int, int]) -> Image.Image:
    if image.size == size:
        return image
    left, top = round((image.width - size[0]) / 2), round((image.height - size[1]) / 2)  # as torchvision rounds
    return image.crop((left, top, left + size[0], top + size[1]))  # black outside


def _shorter_side(size: tuple[int, int], target: int) -> tuple[int, int]:
    """Width and height in proportion, the shorter one `target`; the longer is rounded down, as torchvision does."""
    width, height = size
    if width <= height:
        return target, int(target * height / width)
    return int(target * width / height), target


RESAMPLING: dict[str, Image.Resampling] = {
    "nearest": Image.Resampling.NEAREST,
    "box": Image.Resampling.BOX,
    "bilinear": BILINEAR,
    "hamming": Image.Resampling.HAMMING,
    "bicubic": BICUBIC,
    "lanczos": LANCZOS,
}
"""Pillow's filters by their names in configurations."""


def input_from_timm(pretrained_cfg: dict[str, Any], base: Input) -> Input:
    """`base` with the size, filter, mean and deviation that timm's `pretrained_cfg` of a model names.

    As timm's own transform for validation: where `crop_pct` is below 1, a larger picture loses its edges.
    """
    _, height, width = pretrained_cfg["input_size"]
    resample = RESAMPLING.get(str(pretrained_cfg.get("interpolation")), BICUBIC)
    kept = float(pretrained_cfg.get("crop_pct") or 1.0)
    larger = (int(width / kept), int(height / kept))
    steps = [replace(step, resample=resample, size=larger) for step in base.steps]
    if larger != (width, height):
        steps.append(Step("crop", size=(width, height)))
    mean, std = (_triple(pretrained_cfg.get(name), getattr(base, name)) for name in ("mean", "std"))
    return replace(base, steps=tuple(steps), mean=mean, std=std)


def _triple(values: Any, default: Triple) -> Triple:
    if not isinstance(values, (list, tuple)) or len(values) != 3:
        return default
    first, second, third = map(float, values)
    return first, second, third
