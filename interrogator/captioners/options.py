"""Options for decoding captions."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Any

from ..errors import RequestError
from .strip import DEFAULT_STRIP

_LEAST = {"max_new_tokens": 1, "min_new_tokens": 0, "num_beams": 1, "no_repeat_ngram_size": 0, "batch_size": 1}


def is_number(value: Any) -> bool:
    """Whether a value is a finite number."""
    return isinstance(value, (int, float)) and not isinstance(value, bool) and math.isfinite(value)


@dataclass(frozen=True)
class CaptionOptions:
    """How captions are decoded. Invalid values raise RequestError on construction.

    Attributes:
        max_new_tokens: maximum length in tokens, without the prefix. clip-interrogator uses 32.
        min_new_tokens: minimum length in tokens, without the prefix.
        num_beams: 1 is greedy search, more is beam search. Nothing is sampled: the same image gives the same caption.
        repetition_penalty: above 1 makes words that already occurred less likely (CTRL, arXiv 1909.05858).
        no_repeat_ngram_size: no sequence of this many tokens occurs twice; 0 is off.
        length_penalty: for beam search; above 0 favours longer captions, below 0 shorter ones.
        prefix: words that the caption begins with, such as "a picture of"; they steer how the model continues.
        keep_prefix: whether the returned caption includes the prefix. In a prompt it is usually unwanted.
        batch_size: maximum number of images per batch. Affects speed and memory, not captions (except ties within
            the rounding of the dtype).
        strip: words and phrases removed from the finished caption; see `strip_words`. () removes nothing.
    """

    max_new_tokens: int = 32
    min_new_tokens: int = 0
    num_beams: int = 1
    repetition_penalty: float = 1.0
    no_repeat_ngram_size: int = 0
    length_penalty: float = 1.0
    prefix: str = ""
    keep_prefix: bool = False
    batch_size: int = 8
    strip: tuple[str, ...] = DEFAULT_STRIP

    def __post_init__(self) -> None:
        for name, least in _LEAST.items():
            value = getattr(self, name)
            if isinstance(value, bool) or not isinstance(value, int) or value < least:
                raise RequestError(f"{name} must be an integer of at least {least}, got {value!r}")
        if self.min_new_tokens > self.max_new_tokens:
            raise RequestError(
                f"min_new_tokens ({self.min_new_tokens}) must not exceed max_new_tokens ({self.max_new_tokens})"
            )
        if not is_number(self.repetition_penalty) or self.repetition_penalty <= 0:
            raise RequestError(f"repetition_penalty must be a number above 0, got {self.repetition_penalty!r}")
        if not is_number(self.length_penalty):
            raise RequestError(f"length_penalty must be a number, got {self.length_penalty!r}")
        if not isinstance(self.prefix, str):
            raise RequestError(f"prefix must be a string, got {self.prefix!r}")
        if isinstance(self.strip, str) or not all(isinstance(entry, str) for entry in self.strip):
            raise RequestError(f"strip must be a list of words, got {self.strip!r}")
        object.__setattr__(self, "strip", tuple(self.strip))


DEFAULT_OPTIONS = CaptionOptions()
