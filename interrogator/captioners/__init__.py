"""Models that write a sentence about an image."""

from __future__ import annotations

from .blip import BlipCaptioner
from .loading import BLIP_FILES, find_blip
from .matching import BlipMatcher, Match
from .options import DEFAULT_OPTIONS, Captioner, CaptionOptions
from .sampling import Sampled, sample_captions
from .sampling_options import LAION_COCO, SamplingOptions
from .strip import DEFAULT_STRIP, load_strip_list, strip_words

__all__ = [
    "BLIP_FILES",
    "DEFAULT_OPTIONS",
    "DEFAULT_STRIP",
    "LAION_COCO",
    "BlipCaptioner",
    "BlipMatcher",
    "CaptionOptions",
    "Captioner",
    "Match",
    "Sampled",
    "SamplingOptions",
    "find_blip",
    "load_strip_list",
    "sample_captions",
    "strip_words",
]
