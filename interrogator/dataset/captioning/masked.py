"""Pictures of which only what a mask shows is seen."""

from __future__ import annotations

import hashlib
from collections.abc import Sequence

from PIL import Image

from ...errors import ImageReadError, RunStopped
from ...images import decode_image
from ..records import Item
from ..sources import Source

NEUTRAL = (127, 127, 127)
"""What stands where a mask hides the picture, and behind what is transparent."""
_SHAPE = 1.02


def mask_data(source: Source, item: Item) -> bytes | Exception | None:
    """The bytes of a picture's mask, or why they cannot be read; None where it has none. Raises RunStopped."""
    if item.mask is None:
        return None
    data: bytes | Exception = next(iter(source.read([item.mask])))[1]
    if isinstance(data, RunStopped):
        raise data
    return data


def content_digest(data: bytes, mask: bytes | None) -> str:
    """What names the bytes of a picture, and of its mask if it has one: SHA-256, hex."""
    own = hashlib.sha256(data)
    return own.hexdigest() if mask is None else hashlib.sha256(own.digest() + hashlib.sha256(mask).digest()).hexdigest()


def seen_through(image: Image.Image, mask: bytes | Exception, item: Item) -> Image.Image:
    """An upright RGB picture with `NEUTRAL` where its mask is black; grey shows as much of it.

    The mask is laid over the upright picture, in its size. Raises ImageReadError, of the picture: the mask cannot be
    read, is of another shape, or shows nothing.
    """
    name = "" if item.mask is None else item.mask.key
    if isinstance(mask, Exception):
        raise ImageReadError(item.key, f"its mask {name} {getattr(mask, 'reason', mask)}")
    try:
        shown = decode_image(mask, name).convert("L")
    except ImageReadError as error:
        raise ImageReadError(item.key, f"its mask {name} {error.reason}") from error
    if not _is_of_shape(shown.size, image.size):
        sizes = [" x ".join(map(str, each.size)) for each in (shown, image)]
        raise ImageReadError(item.key, f"its mask {name} has another shape: {sizes[0]} pixels, not {sizes[1]}")
    if not shown.getbbox():
        raise ImageReadError(item.key, f"its mask {name} shows nothing: it is black")
    if shown.size != image.size:
        shown = shown.resize(image.size, Image.Resampling.BILINEAR)
    return Image.composite(image, Image.new("RGB", image.size, NEUTRAL), shown)


def is_transparent(image: Image.Image) -> bool:
    """Whether any pixel of a picture as its file has it is transparent, in full or in part."""
    if not image.has_transparency_data:
        return False
    return image.convert("RGBA").getchannel("A").getextrema()[0] < 255  # type: ignore[operator]


def _is_of_shape(size: Sequence[int], other: Sequence[int]) -> bool:
    """Whether both have the same proportions, give or take a pixel or two in a hundred."""
    ratio = size[0] * other[1] / (size[1] * other[0])
    slack = max(1 + 2 / min(*size, *other), _SHAPE)
    return 1 / slack <= ratio <= slack
