"""Models that write a sentence about an image."""

from __future__ import annotations

from .blip import BlipCaptioner
from .loading import BLIP_FILES, find_blip
from .options import DEFAULT_OPTIONS, Captioner, CaptionOptions
from .strip import DEFAULT_STRIP, load_strip_list, strip_words

__all__ = [
    "BLIP_FILES",
    "DEFAULT_OPTIONS",
    "DEFAULT_STRIP",
    "BlipCaptioner",
    "CaptionOptions",
    "Captioner",
    "find_blip",
    "load_strip_list",
    "strip_words",
]
