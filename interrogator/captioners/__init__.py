"""Captioners write sentences about images.

    options           how one caption is decoded
    sampling_options  how several different captions are sampled
    abilities         whether a captioner can do what options ask for
    sampling          several different captions of an image, by any captioner that samples
    strip             words taken out of captions
    blip/             the family BLIP

The families themselves are loaded by `registry`, so that importing this package loads no model code.
"""

from __future__ import annotations

from .options import DEFAULT_OPTIONS, CaptionOptions
from .sampling_options import DEFAULT_SAMPLING, LAION_COCO, Sampled, SamplingOptions
from .strip import DEFAULT_STRIP, load_strip_list, strip_words

__all__ = [
    "DEFAULT_OPTIONS",
    "DEFAULT_SAMPLING",
    "DEFAULT_STRIP",
    "LAION_COCO",
    "CaptionOptions",
    "Sampled",
    "SamplingOptions",
    "load_strip_list",
    "strip_words",
]
