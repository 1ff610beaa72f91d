"""Models that write a sentence about an image."""

from __future__ import annotations

from ..matchers.blip import BlipMatcher, Match
from .blip.captioner import BlipCaptioner
from .blip.checkpoint import BLIP_FILES, find_blip
from .blip.sampler import Sampled, sample_captions
from .options import DEFAULT_OPTIONS, Captioner, CaptionOptions
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
