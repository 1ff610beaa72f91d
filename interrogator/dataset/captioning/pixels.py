"""What can be wrong with the pixels of a picture that can be read."""

from __future__ import annotations

import io

import numpy as np
from PIL import Image

from ...images import DAMAGED

_JPEG = b"\xff\xd8"
_BLANK_HASH = "0" * 16
_SAMPLED = 256
_DIFFERENCE, _SHARE = 32, 0.03


def is_animated(data: bytes) -> bool:
    """Whether a picture file that could be decoded holds several pictures, frames or pages."""
    if data.startswith(_JPEG):  # the most usual kind, and some hold a second picture for depth
        return False
    try:
        with Image.open(io.BytesIO(data)) as image:
            return bool(getattr(image, "is_animated", False))
    except DAMAGED:  # behind the first frame
        return False


def is_blank(image: Image.Image, dhash: str) -> bool:
    """Whether an RGB picture is of one color. dhash: its `difference_hash`, which tells nearly all that are not."""
    return dhash == _BLANK_HASH and all(low == high for low, high in image.getextrema())  # type: ignore[misc]


def hides_pixels(image: Image.Image) -> bool:
    """Whether a picture as its file has it shows something else without its transparency than on white.

    That is so where more than three in a hundred pixels differ by more than 32 of 255: a smooth edge is no such thing.
    """
    if not image.has_transparency_data:
        return False
    size = min(image.width, _SAMPLED), min(image.height, _SAMPLED)
    pixels = np.asarray(image.resize(size, Image.Resampling.NEAREST).convert("RGBA"), dtype=np.int32)  # [H, W, 4]
    added = (255 - pixels[..., :3].min(axis=2)) * (255 - pixels[..., 3])  # of white, in the darkest channel, times 255
    return bool((added > _DIFFERENCE * 255).mean() > _SHARE)
