"""Pictures as an endpoint gets them: JPEG files of limited size, in data URLs."""

from __future__ import annotations

import io
from base64 import b64encode
from dataclasses import dataclass
from hashlib import blake2b
from threading import Lock

from PIL import Image

from ...images import shrunk, to_rgb
from ..options import LARGEST_PIXELS

# Every server reads JPEG, few read WebP. Fine enough that nobody sees the difference, colour in full resolution.
_QUALITY, _SUBSAMPLING = 92, 0
_LONGEST_SIDE = 16_384  # JPEG ends at 65,535, and no model looks at strips


@dataclass(frozen=True)
class Picture:
    """A picture as a JPEG file: a twentieth of its pixels' memory, so that many can wait for their turn."""

    jpeg: bytes
    width: int
    height: int

    @classmethod
    def of(cls, image: Image.Image) -> Picture:
        """An upright RGB picture of at most `LARGEST_PIXELS`."""
        return cls._saved(shrunk(to_rgb(image), LARGEST_PIXELS, _LONGEST_SIDE))

    def within(self, pixels: int) -> Picture:
        """The same with at most so many pixels; itself where it has no more."""
        if self.width * self.height <= pixels:
            return self
        with Image.open(io.BytesIO(self.jpeg)) as image:
            return self._saved(shrunk(image, pixels, _LONGEST_SIDE))

    @property
    def data_url(self) -> str:
        """The file in the form in which a request holds it."""
        return f"data:image/jpeg;base64,{b64encode(self.jpeg).decode('ascii')}"

    @property
    def key(self) -> str:
        """A name that depends on the picture alone."""
        return blake2b(self.jpeg, digest_size=16).hexdigest()

    @classmethod
    def _saved(cls, image: Image.Image) -> Picture:
        file = io.BytesIO()
        image.save(file, format="JPEG", quality=_QUALITY, subsampling=_SUBSAMPLING)
        return cls(file.getvalue(), *image.size)


class DataUrl:
    """The data URL of a picture within a number of pixels: made by the first request that sends it, for all of them."""

    def __init__(self, picture: Picture, pixels: int) -> None:
        self._picture, self._pixels = picture, pixels
        self._lock = Lock()
        self._url = ""

    def get(self) -> str:
        with self._lock:
            if not self._url:
                self._url = self._picture.within(self._pixels).data_url
            return self._url
