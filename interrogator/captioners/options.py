"""Options for decoding captions."""

from __future__ import annotations

import math
from dataclasses import dataclass, replace
from typing import Any

from ..errors import RequestError
from .strip import DEFAULT_STRIP

LARGEST_PIXELS = 2_097_152
"""Pixels that captioners keep of a picture at most, whatever `max_pixels` asks for."""

_LEAST = {
    "max_new_tokens": 1, "min_new_tokens": 0, "num_beams": 1, "no_repeat_ngram_size": 0, "batch_size": 1,
    "max_pixels": 1,
}  # fmt: skip


def is_number(value: Any) -> bool:
    """Whether a value is a finite number."""
    return isinstance(value, (int, float)) and not isinstance(value, bool) and math.isfinite(value)


@dataclass(frozen=True)
class CaptionOptions:
    """How captions are decoded. Invalid values raise RequestError on construction.

    Attributes:
        max_new_tokens: maximum length in tokens, without the prefix; None is what the captioner's family takes: 32 for
            BLIP, as in clip-interrogator, and more for models that write paragraphs.
        min_new_tokens: minimum length in tokens, without the prefix.
        num_beams: 1 is greedy search, more is beam search.
        repetition_penalty: above 1 makes words that already occurred less likely (CTRL, arXiv 1909.05858).
        no_repeat_ngram_size: no sequence of this many tokens occurs twice; 0 is off.
        length_penalty: for beam search; above 0 favours longer captions, below 0 shorter ones.
        prefix: words that the caption begins with, such as "a picture of"; they steer how the model continues.
        keep_prefix: whether the returned caption includes the prefix. In a prompt it is usually unwanted.
        batch_size: maximum number of images per batch. Affects speed and memory, not captions (except ties within
            the rounding of the dtype).
        strip: words and phrases removed from the finished caption; see `strip_words`. () removes nothing.
        ask: a question or instruction in words of your own, or the name of one of `named_prompts`; "" is the family's
            own. `{trigger}` and `{tags}` in it are replaced.
        system: the system prompt; "" is the model's own.
        trigger: what `{trigger}` in the question stands for.
        tags: for each image what `{tags}` in the question stands for; () where the question does not name them.
        max_pixels: area of an image at most, in pixels; larger ones are shrunk. Captioners that read images at a size
            of their own ignore it.
        temperature: 0 takes the likeliest token each time; above 0 samples. The random numbers of an image hang on its
            pixels and the seed, so it gets the same caption in every batch.
        top_p: sample only from the fewest tokens with this total probability (nucleus sampling, arXiv 1904.09751).
        seed: a different seed gives different samples.
    """

    max_new_tokens: int | None = None
    min_new_tokens: int = 0
    num_beams: int = 1
    repetition_penalty: float = 1.0
    no_repeat_ngram_size: int = 0
    length_penalty: float = 1.0
    prefix: str = ""
    keep_prefix: bool = False
    batch_size: int = 8
    strip: tuple[str, ...] = DEFAULT_STRIP
    ask: str = ""
    system: str = ""
    trigger: str = ""
    tags: tuple[str, ...] = ()
    max_pixels: int = LARGEST_PIXELS // 2
    temperature: float = 0.0
    top_p: float = 0.9
    seed: int = 0

    def __post_init__(self) -> None:
        for name, least in _LEAST.items():
            value = getattr(self, name)
            if name == "max_new_tokens" and value is None:
                continue
            if isinstance(value, bool) or not isinstance(value, int) or value < least:
                raise RequestError(f"{name} must be an integer of at least {least}, got {value!r}")
        if self.max_new_tokens is not None and self.min_new_tokens > self.max_new_tokens:
            raise RequestError(
                f"min_new_tokens ({self.min_new_tokens}) must not exceed max_new_tokens ({self.max_new_tokens})"
            )
        if not is_number(self.repetition_penalty) or self.repetition_penalty <= 0:
            raise RequestError(f"repetition_penalty must be a number above 0, got {self.repetition_penalty!r}")
        if not is_number(self.length_penalty):
            raise RequestError(f"length_penalty must be a number, got {self.length_penalty!r}")
        if self.max_pixels > LARGEST_PIXELS:
            raise RequestError(f"max_pixels must be at most {LARGEST_PIXELS}, got {self.max_pixels}")
        check_sampling(self.temperature, self.top_p, self.seed)
        if self.temperature and self.num_beams > 1:
            raise RequestError(
                "beams search for the likeliest caption and a temperature samples: choose one of the two"
            )
        self._check_texts()

    def _check_texts(self) -> None:
        for name in ("prefix", "ask", "system", "trigger"):
            if not isinstance(getattr(self, name), str):
                raise RequestError(f"{name} must be a string, got {getattr(self, name)!r}")
        for name in ("strip", "tags"):
            object.__setattr__(self, name, strings(name, getattr(self, name)))

    def with_length(self, default: int) -> CaptionOptions:
        """The same with a length where none was asked for: at most `default` tokens, and room for the least."""
        if self.max_new_tokens is not None:
            return self
        return replace(self, max_new_tokens=max(default, self.min_new_tokens))


def strings(name: str, values: Any) -> tuple[str, ...]:
    """The values as a tuple. Raises RequestError: they are no strings, or are one."""
    if isinstance(values, str) or not all(isinstance(entry, str) for entry in values):
        raise RequestError(f"{name} must be a list of words, got {values!r}")
    return tuple(values)


def check_sampling(temperature: Any, top_p: Any, seed: Any) -> None:
    """Raises RequestError: one of these is not what sampling takes."""
    if isinstance(seed, bool) or not isinstance(seed, int):
        raise RequestError(f"seed must be an integer, got {seed!r}")
    if not is_number(temperature) or temperature < 0:
        raise RequestError(f"temperature must be a number of at least 0, got {temperature!r}")
    if not is_number(top_p) or not 0 < top_p <= 1:
        raise RequestError(f"top_p must be a number above 0 and at most 1, got {top_p!r}")


DEFAULT_OPTIONS = CaptionOptions()
