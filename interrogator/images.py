"""Turns any image file, or image in memory, into an upright RGB image, or raises an ImageReadError that says why not.

Only the first frame is used. Values of more than 8 bits per channel are scaled down rather than clipped, transparency
is composited on white, and the EXIF (or XMP) orientation is applied. Colour profiles are not applied.
"""

from __future__ import annotations

import io
import logging
import math
import os
import stat
import struct
import threading
import warnings
import zlib
from collections.abc import Callable
from os import PathLike
from typing import IO, Any

import numpy as np
import numpy.typing as npt
from PIL import Image, UnidentifiedImageError

from .errors import ImageReadError
from .image_formats import register_readers

logger = logging.getLogger("interrogator")

# What Pillow raises for damaged files, collected by feeding it a few hundred thousand of them (every format it writes,
# truncated and with bytes changed). Its readers do not share one exception class.
DAMAGED: tuple[type[Exception], ...] = (
    OSError,  # truncated data, unknown compression; also UnidentifiedImageError
    SyntaxError,  # a broken header found late (PNG, AVIF)
    ValueError,  # too little data, text chunks that unpack to more than Pillow allows
    TypeError,
    AttributeError,
    LookupError,  # KeyError and IndexError
    ArithmeticError,
    EOFError,
    RuntimeError,  # AVIF; also NotImplementedError (DDS, BLP) and RecursionError
    struct.error,
    zlib.error,
    Image.DecompressionBombError,
    Warning,  # only where the program has turned warnings into errors
)

# Programs, not images: Pillow passes them to Ghostscript or Windows, which is unsafe for files of unknown origin.
_PROGRAM_FORMATS = frozenset({"EPS", "WMF", "EMF"})

_WHITE = (255, 255, 255)
_ORIENTATION_TAG = 0x0112
_TURNS = {
    2: Image.Transpose.FLIP_LEFT_RIGHT,
    3: Image.Transpose.ROTATE_180,
    4: Image.Transpose.FLIP_TOP_BOTTOM,
    5: Image.Transpose.TRANSPOSE,
    6: Image.Transpose.ROTATE_270,
    7: Image.Transpose.TRANSVERSE,
    8: Image.Transpose.ROTATE_90,
}

_KINDS = (
    (stat.S_ISDIR, "is a folder"),
    (stat.S_ISFIFO, "is a pipe, not a file"),
    (stat.S_ISSOCK, "is a socket, not a file"),
    (stat.S_ISCHR, "is a device, not a file"),
    (stat.S_ISBLK, "is a device, not a file"),
)

_warnings_lock = threading.Lock()  # warnings.catch_warnings is not safe between threads


def open_image(path: str | PathLike[str]) -> Image.Image:
    """Read an image file: mode RGB, upright, first frame, transparency on white. The file is closed afterwards.

    Images of up to twice `PIL.Image.MAX_IMAGE_PIXELS` pixels are accepted (where Pillow itself changes from a warning
    to an error). Whatever the path turns out to be, the only exception raised is ImageReadError.
    """
    name = os.fsdecode(path)
    check_is_file(name)
    try:
        with open(name, "rb") as file:
            file.read(1 << 16)  # waits for a slow disk before the lock is taken, so that no other thread does
            file.seek(0)
            return _decoded(file, name)
    except DAMAGED as error:
        raise ImageReadError(name, _reason(error)) from error


def decode_image(
    data: bytes,
    name: str = "image",
    seen: Callable[[Image.Image], object] = lambda image: None,
    background: tuple[int, int, int] = _WHITE,
) -> Image.Image:
    """The image in the bytes of a file, read like `open_image`.

    Args:
        name: identifies the image in errors.
        seen: called with the image as the file has it, loaded, before it is closed.
        background: what transparency is composited on.

    Raises ImageReadError.
    """
    if not data:
        raise ImageReadError(name, "is empty")
    return _decoded(io.BytesIO(data), name, seen, background)


ImageSource = Image.Image | str | PathLike[str] | bytes | IO[bytes] | npt.NDArray[np.uint8]
"""Accepted forms of an image: a PIL image, the path of a file, its bytes, an open file, or an array [H, W, C]."""


def as_image(source: ImageSource) -> Image.Image:
    """The image in any form of `ImageSource`; a PIL image is returned unchanged.

    Arrays are uint8 [H, W], [H, W, 3] or [H, W, 4]. Raises ImageReadError.
    """
    if isinstance(source, Image.Image):
        return source
    if isinstance(source, (str, PathLike)):
        return open_image(source)
    if isinstance(source, (bytes, bytearray, memoryview)):
        return decode_image(bytes(source))
    if isinstance(source, np.ndarray):
        return _from_array(source)
    if callable(getattr(source, "read", None)):
        try:
            return decode_image(source.read(), str(getattr(source, "name", "image")))
        except OSError as error:
            raise ImageReadError("image", f"cannot be read: {error.strerror or error}") from error
    raise ImageReadError("image", f"is a {type(source).__name__}, not an image, path, array, bytes or file")


def _from_array(array: npt.NDArray[np.uint8]) -> Image.Image:
    channels = array.shape[2] if array.ndim == 3 else 1
    if array.dtype != np.uint8 or array.ndim not in (2, 3) or channels not in (1, 3, 4) or 0 in array.shape:
        raise ImageReadError(
            "image", f"is a {array.dtype} array {list(array.shape)}; it must be uint8 [height, width, 1, 3 or 4]"
        )
    return Image.fromarray(np.ascontiguousarray(array[:, :, 0] if array.ndim == 3 and channels == 1 else array))


def to_rgb(image: Image.Image, name: str = "image", background: tuple[int, int, int] = _WHITE) -> Image.Image:
    """An upright RGB copy of a PIL image, by the rules of `open_image`. The original is not changed.

    name: identifies the image in errors. The copy carries no metadata, so a second call changes nothing.
    Raises ImageReadError: not an image, no pixels, or damaged data that had not been loaded yet.
    """
    if not isinstance(image, Image.Image):
        raise ImageReadError(name, f"is a {type(image).__name__}, not a PIL image")
    if 0 in image.size:
        raise ImageReadError(name, "has no pixels")
    try:
        clear = _clear_value(image)
        image.load()
        rgb = _without_alpha(_eight_bits(image, clear), clear, background)
        turn = _TURNS.get(_orientation(image, name))
        if turn is not None:
            rgb = rgb.transpose(turn)
    except MemoryError as error:
        raise ImageReadError(name, "is too large for the free memory") from error
    except DAMAGED as error:
        raise ImageReadError(name, _reason(error)) from error
    rgb.info = {}
    return rgb


def shrunk(image: Image.Image, pixels: int, longest_side: int = 0) -> Image.Image:
    """An image of the same shape with at most so many pixels, and sides of `longest_side` unless 0; never enlarged."""
    width, height = image.size
    scale = math.sqrt(pixels / (width * height))
    if longest_side:
        scale = min(scale, longest_side / max(width, height))
    if scale >= 1.0:
        return image
    size = max(1, math.floor(width * scale)), max(1, math.floor(height * scale))
    return image.resize(size, Image.Resampling.LANCZOS, reducing_gap=3.0)


def _decoded(
    file: Any, name: str, seen: Callable[[Image.Image], object] = lambda image: None,
    background: tuple[int, int, int] = _WHITE,
) -> Image.Image:  # fmt: skip
    """The image in an open file. Raises ImageReadError."""
    try:
        with open_quietly(file) as image:
            if image.format in _PROGRAM_FORMATS:
                raise ImageReadError(name, f"is {image.format}, which only an external program can draw")
            rgb = to_rgb(image, name, background)
            seen(image)
            return rgb
    except MemoryError as error:
        raise ImageReadError(name, "is too large for the free memory") from error
    except DAMAGED as error:
        raise ImageReadError(name, _reason(error)) from error


def check_is_file(name: str) -> None:
    """Reject anything but a regular file before opening it: opening a pipe would block forever."""
    try:
        status = os.stat(name)
    except FileNotFoundError as error:
        raise ImageReadError(name, "no such file") from error
    except (OSError, ValueError) as error:  # ValueError: a null byte in the name
        raise ImageReadError(name, f"cannot be opened: {getattr(error, 'strerror', None) or error}") from error
    for is_kind, reason in _KINDS:
        if is_kind(status.st_mode):
            raise ImageReadError(name, reason)
    if status.st_size == 0:
        raise ImageReadError(name, "is empty")


def open_quietly(file: Any) -> Image.Image:
    """`Image.open` without Pillow's warnings about size and odd metadata: an image is either readable or an error."""
    register_readers()
    with _warnings_lock, warnings.catch_warnings():
        warnings.simplefilter("ignore")
        return Image.open(file)


def _orientation(image: Image.Image, name: str) -> int:
    """The EXIF orientation, 1 to 8; 1 if the metadata is damaged, which does not make the image unreadable."""
    try:
        with _warnings_lock, warnings.catch_warnings():
            warnings.simplefilter("ignore")
            value = image.getexif().get(_ORIENTATION_TAG)
    except DAMAGED as error:
        logger.debug("%s: its EXIF data cannot be read (%s)", name, error)
        return 1
    return value if isinstance(value, int) else 1


def _clear_value(image: Image.Image) -> Any:
    """The single value or colour that means "transparent" (PNG's tRNS), in the scale of the loaded pixels.

    On loading, Pillow scales 2-bit and 4-bit grey up and 16-bit colours down, but not this value.
    """
    value = image.info.get("transparency")
    tiles = getattr(image, "tile", None)  # gone once loaded
    layout = str(tiles[0].args) if tiles else ""
    if isinstance(value, int) and layout in ("L;2", "L;4"):
        return value * (85 if layout == "L;2" else 17)
    if isinstance(value, tuple) and (layout == "RGB;16B" or max(value, default=0) > 255):
        return tuple(part >> 8 for part in value)
    return value


def _without_alpha(image: Image.Image, clear: Any, background: tuple[int, int, int]) -> Image.Image:
    """RGB, with any transparency (alpha, palette, or the one colour `clear`) composited on a background."""
    if image.mode == "LAB":
        return _lab_to_rgb(image)
    if image.mode in ("1", "L", "RGB", "P") and clear is not None:
        image = image.copy()
        image.info["transparency"] = clear
    elif image.mode not in ("RGBA", "LA", "PA", "RGBa", "La", "P") or not image.has_transparency_data:
        return image.convert("RGB")
    if image.mode == "La":
        image = image.convert("LA")  # Pillow cannot convert La directly
    rgba = image.convert("RGBA")
    behind = Image.new("RGBA", rgba.size, (*background, 255))
    return Image.alpha_composite(behind, rgba).convert("RGB")


def _lab_to_rgb(image: Image.Image) -> Image.Image:
    from PIL import ImageCms

    lab, srgb = ImageCms.createProfile("LAB"), ImageCms.createProfile("sRGB")
    rgb = ImageCms.profileToProfile(image, lab, srgb, outputMode="RGB")
    assert rgb is not None  # None only with inPlace=True
    return rgb


def _eight_bits(image: Image.Image, clear: Any) -> Image.Image:
    """Grey of more than 8 bits (I;16*, I, F) scaled to 0..255 as mode L, or as LA if one value is transparent.

    In I;16, and in mode I from PNG and PPM files, white is 65535. Otherwise white is the first of 1 (F only), 255 and
    65535 that no value exceeds; if values are larger or negative, the image's own range is stretched.
    """
    if not image.mode.startswith(("I", "F")):
        return image
    values = np.asarray(image)  # [H, W] uint16 (either byte order), int32 or float32
    sixteen = image.mode.startswith("I;16") or (image.mode == "I" and image.format in ("PNG", "PPM"))
    low, high = (0.0, 65535.0) if sixteen else _range(values)
    with np.errstate(invalid="ignore"):
        scaled = (values.astype(np.float64) - low) * (255.0 / (high - low))
    grey = np.rint(np.clip(np.nan_to_num(scaled, nan=0.0, posinf=255.0, neginf=0.0), 0.0, 255.0)).astype(np.uint8)
    if isinstance(clear, int):
        alpha = np.where(values == clear, 0, 255).astype(np.uint8)
        return Image.merge("LA", (Image.fromarray(grey), Image.fromarray(alpha)))
    return Image.fromarray(grey)


def _range(values: np.ndarray[Any, Any]) -> tuple[float, float]:
    finite = values[np.isfinite(values)]
    if finite.size == 0:
        return 0.0, 1.0
    low, high = float(finite.min()), float(finite.max())
    if low >= 0:
        for white in (1.0, 255.0, 65535.0) if values.dtype.kind == "f" else (255.0, 65535.0):
            if high <= white:
                return 0.0, white
    return low, high if high > low else low + 1.0


def _reason(error: BaseException) -> str:
    if isinstance(error, Image.DecompressionBombError):
        return f"is too large: more than {2 * (Image.MAX_IMAGE_PIXELS or 0):,} pixels"
    if isinstance(error, UnidentifiedImageError):
        return "is not an image in a format that Pillow can read"
    detail = " ".join(str(error).split()) or type(error).__name__
    return f"is truncated or damaged ({detail})"
