"""Turns any image file, or image in memory, into an upright RGB image, or raises an ImageReadError that says why not.

Only the first frame is used. Values of more than 8 bits per channel are scaled down rather than clipped, transparency
is composited on white, and the EXIF (or XMP) orientation is applied. Colour profiles are not applied.

No model reads more than two megapixels, so that larger pictures are shrunk as they are read: whatever a file holds, its
picture has at most 34 megapixels, and sides of at most 16,383 pixels (`reduction`). Beside the pixels as the file has
them, that takes 134 MB at most: they are converted in bands of rows. Pictures longer than 32 times their width are
padded with white, because a transform that crops to a square would enlarge them to gigabytes.
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
from collections.abc import Callable, Iterator
from os import PathLike
from typing import IO, Any

import numpy as np
import numpy.typing as npt
from PIL import Image, UnidentifiedImageError

from .colors import Colors
from .errors import ImageReadError
from .image_formats import register_readers
from .png_chunks import without_texts

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
_KEPT_PIXELS = 8_388_608  # four times what any captioner reads
_KEPT_SIDE = 8192
_LONGEST_SHAPE = 32
_BAND_PIXELS = 1 << 20
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
_SIDEWAYS = frozenset({5, 6, 7, 8})

_KINDS = (
    (stat.S_ISDIR, "is a folder"),
    (stat.S_ISFIFO, "is a pipe, not a file"),
    (stat.S_ISSOCK, "is a socket, not a file"),
    (stat.S_ISCHR, "is a device, not a file"),
    (stat.S_ISBLK, "is a device, not a file"),
)

_warnings_lock = threading.Lock()  # warnings.catch_warnings is not safe between threads


Seen = Callable[[Image.Image, tuple[int, int]], object]
"""Looks at an image as the file has it, and its full width and height, upright."""


def _unseen(image: Image.Image, size: tuple[int, int]) -> None:
    """Looks at nothing."""


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
    seen: Seen = _unseen,
    background: tuple[int, int, int] = _WHITE,
) -> Image.Image:
    """The image in the bytes of a file, read like `open_image`.

    Args:
        name: identifies the image in errors.
        seen: called before it is closed with the image as the file has it, loaded, a large JPEG at a lower
            resolution, and with its full width and height, upright.
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
    return _converted(image, name, background)[0]


def _converted(image: Image.Image, name: str, background: tuple[int, int, int]) -> tuple[Image.Image, int]:
    """`to_rgb`, and the orientation that the image had. Raises ImageReadError."""
    if not isinstance(image, Image.Image):
        raise ImageReadError(name, f"is a {type(image).__name__}, not a PIL image")
    if 0 in image.size:
        raise ImageReadError(name, "has no pixels")
    try:
        colors = Colors(image, background)
        image.load()
        rgb = _padded(_reduced(image, colors), background)
        orientation = _orientation(image, name)
        turn = _TURNS.get(orientation)
        if turn is not None:
            rgb = rgb.transpose(turn)
    except MemoryError as error:
        raise ImageReadError(name, "is too large for the free memory") from error
    except DAMAGED as error:
        raise ImageReadError(name, _reason(error)) from error
    rgb.info = {}
    return rgb, orientation


def reduction(size: tuple[int, int]) -> int:
    """The factor by which a picture of this size is shrunk as it is read; 1 up to 33.5 megapixels.

    Four times the pixels that any model reads are left, or more: shrinking in two steps then looks like one.
    """
    width, height = size
    return max(1, math.isqrt(width * height // _KEPT_PIXELS), max(size) // _KEPT_SIDE)


def _draft(image: Image.Image) -> None:
    """Have a large JPEG that was just opened decoded at a half, a fourth or an eighth of its size."""
    factor = reduction(image.size)
    if factor > 1:
        image.draft("RGB", (max(1, image.width // factor), max(1, image.height // factor)))


def _reduced(image: Image.Image, colors: Colors) -> Image.Image:
    """A loaded picture as RGB, shrunk by `reduction`, in bands of rows: a whole one can take eight times its memory."""
    (width, height), factor = image.size, reduction(image.size)
    factors = min(factor, width), min(factor, height)
    rows = factors[1] * max(1, _BAND_PIXELS // (width * factors[1]))

    def bands() -> Iterator[Image.Image]:
        for top in range(0, height, rows):
            yield image.crop((0, top, width, min(top + rows, height)))

    colors.measure(bands())
    if factor == 1 and rows >= height:
        return colors.rgb(image)
    rgb = Image.new("RGB", (math.ceil(width / factors[0]), math.ceil(height / factors[1])))
    for i, band in enumerate(bands()):
        rgb.paste(colors.rgb(band).reduce(factors), (0, i * rows // factors[1]))
    return rgb


def _padded(image: Image.Image, background: tuple[int, int, int]) -> Image.Image:
    """An RGB picture with its shorter side padded to the longest one that models can shrink, 1 to 32."""
    least = max(image.size) // _LONGEST_SHAPE
    if min(image.size) >= least:
        return image
    size = max(image.width, least), max(image.height, least)
    padded = Image.new("RGB", size, background)
    padded.paste(image, ((size[0] - image.width) // 2, (size[1] - image.height) // 2))
    return padded


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


def _decoded(file: Any, name: str, seen: Seen = _unseen, background: tuple[int, int, int] = _WHITE) -> Image.Image:
    """The image in an open file. Raises ImageReadError."""
    try:
        try:
            return _opened(file, name, seen, background)
        except ValueError:  # texts or a color profile that unpack to more than Pillow allows
            bare = without_texts(file)
            if bare is None:
                raise
            return _opened(bare, name, seen, background)
    except MemoryError as error:
        raise ImageReadError(name, "is too large for the free memory") from error
    except DAMAGED as error:
        raise ImageReadError(name, _reason(error)) from error


def _opened(file: Any, name: str, seen: Seen, background: tuple[int, int, int]) -> Image.Image:
    with open_quietly(file) as image:
        if image.format in _PROGRAM_FORMATS:
            raise ImageReadError(name, f"is {image.format}, which only an external program can draw")
        width, height = image.size
        _draft(image)
        rgb, orientation = _converted(image, name, background)
        seen(image, (height, width) if orientation in _SIDEWAYS else (width, height))
        return rgb


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


def _reason(error: BaseException) -> str:
    if isinstance(error, Image.DecompressionBombError):
        return f"is too large: more than {2 * (Image.MAX_IMAGE_PIXELS or 0):,} pixels"
    if isinstance(error, UnidentifiedImageError):
        return "is not an image in a format that Pillow can read"
    detail = " ".join(str(error).split()) or type(error).__name__
    return f"is truncated or damaged ({detail})"
