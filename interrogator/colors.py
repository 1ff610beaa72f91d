"""Pixels of any mode as RGB: wide values scaled down, transparency on a background, LAB as sRGB."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

import numpy as np
import numpy.typing as npt
from PIL import Image

_WIDE = 65535  # white of 16 bits


class Colors:
    """How the pixels of one picture become RGB: found out once, applied to bands of its rows.

    Values of more than 8 bits are scaled to 0..255. In I;16, and in mode I from PNG and PPM files, white is 65535.
    Otherwise white is the first of 1 (F only), 255 and 65535 that no value exceeds; if values are larger or negative,
    the picture's own range is stretched.
    """

    def __init__(self, image: Image.Image, background: tuple[int, int, int]) -> None:
        """image: as opened, its pixels not loaded. background: what transparency is composited on."""
        self._background = background
        self._clear = _clear_value(image)
        self._is_wide = image.mode.startswith(("I", "F"))
        self._sixteen = image.mode.startswith("I;16") or (image.mode == "I" and image.format in ("PNG", "PPM"))
        self._low, self._high = 0.0, float(_WIDE)

    def measure(self, bands: Iterable[Image.Image]) -> None:
        """Find the white of wide values that nothing else says. bands: all of the picture."""
        if self._is_wide and not self._sixteen:
            self._low, self._high = _range(bands)

    def rgb(self, band: Image.Image) -> Image.Image:
        """The rows of a band as RGB."""
        return self._without_alpha(self._eight_bits(band) if self._is_wide else band)

    def _eight_bits(self, band: Image.Image) -> Image.Image:
        """Mode L, or LA if one value is transparent."""
        values = np.asarray(band)  # [H, W] uint16 (either byte order), int32 or float32
        if self._sixteen and values.dtype.kind == "u":
            grey = ((values.astype(np.uint32) + 128) // 257).astype(np.uint8)  # rounded: 65535 is 257 times 255
        else:
            with np.errstate(invalid="ignore"):
                scaled = (values.astype(np.float64) - self._low) * (255.0 / (self._high - self._low))
            scaled = np.clip(np.nan_to_num(scaled, nan=0.0, posinf=255.0, neginf=0.0), 0.0, 255.0)
            grey = np.rint(scaled).astype(np.uint8)
        if isinstance(self._clear, int):
            alpha = np.where(values == self._clear, 0, 255).astype(np.uint8)
            return Image.merge("LA", (Image.fromarray(grey), Image.fromarray(alpha)))
        return Image.fromarray(grey)

    def _without_alpha(self, image: Image.Image) -> Image.Image:
        """RGB, with any transparency (alpha, palette, or one clear color) composited on the background."""
        if image.mode == "LAB":
            return _lab_to_rgb(image)
        if image.mode in ("1", "L", "RGB", "P") and self._clear is not None:
            image = image.copy()
            image.info["transparency"] = self._clear
        elif image.mode not in ("RGBA", "LA", "PA", "RGBa", "La", "P") or not image.has_transparency_data:
            return image.convert("RGB")
        if image.mode == "La":
            image = image.convert("LA")  # Pillow cannot convert La directly
        rgba = image.convert("RGBA")
        behind = Image.new("RGBA", rgba.size, (*self._background, 255))
        return Image.alpha_composite(behind, rgba).convert("RGB")


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


def _lab_to_rgb(image: Image.Image) -> Image.Image:
    from PIL import ImageCms

    lab, srgb = ImageCms.createProfile("LAB"), ImageCms.createProfile("sRGB")
    rgb = ImageCms.profileToProfile(image, lab, srgb, outputMode="RGB")
    assert rgb is not None  # None only with inPlace=True
    return rgb


def _range(bands: Iterable[Image.Image]) -> tuple[float, float]:
    """The values that are black and white in a picture whose mode says neither."""
    ends: list[tuple[float, float]] = []
    kind = "f"
    for band in bands:
        values: npt.NDArray[Any] = np.asarray(band)
        kind = values.dtype.kind
        finite = values[np.isfinite(values)]
        if finite.size:
            ends.append((float(finite.min()), float(finite.max())))
    if not ends:
        return 0.0, 1.0
    low, high = min(low for low, _ in ends), max(high for _, high in ends)
    if low >= 0:
        for white in (1.0, 255.0, float(_WIDE)) if kind == "f" else (255.0, float(_WIDE)):
            if high <= white:
                return 0.0, white
    return low, high if high > low else low + 1.0
