"""Captioners write sentences about images.

options           how one caption is decoded
sampling_options  how several different captions are sampled
abilities         whether a captioner supports what the options require
sample_keys       what the random numbers of an image hang on
sampling          several different captions of an image, by any captioner that supports sampling
named_prompts     questions for captioners that follow them
strip             removing made-up words from captions
token_choice      choosing the next token with reproducible random numbers
answers           what a chat model's answer says about the image
decoding/         greedy search, sampling and beam search for models whose code is here
blip/             the family BLIP
coca/             the family CoCa
chat/             everything that transformers loads as AutoModelForImageTextToText
florence2/        Florence-2, which is asked by tasks
endpoint/         models behind a server that speaks the OpenAI-compatible protocol

The families are loaded by `registry`, so importing this package loads no model code.
"""

from __future__ import annotations

from .named_prompts import NAMED_PROMPTS
from .options import DEFAULT_OPTIONS, LARGEST_PIXELS, CaptionOptions
from .sampling_options import DEFAULT_SAMPLING, LAION_COCO, Sampled, SamplingOptions
from .strip import DEFAULT_STRIP, load_strip_list, strip_words

__all__ = [
    "DEFAULT_OPTIONS",
    "DEFAULT_SAMPLING",
    "DEFAULT_STRIP",
    "LAION_COCO",
    "LARGEST_PIXELS",
    "NAMED_PROMPTS",
    "CaptionOptions",
    "Sampled",
    "SamplingOptions",
    "load_strip_list",
    "strip_words",
]
