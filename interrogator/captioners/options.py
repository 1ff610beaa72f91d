"""How captions are decoded."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Any

from ..errors import RequestError
from .strip import DEFAULT_STRIP

_LEAST = {"max_new_tokens": 1, "min_new_tokens": 0, "num_beams": 1, "no_repeat_ngram_size": 0, "batch_size": 1}


def is_number(value: Any) -> bool:
    """Whether a setting is a finite number."""
    return isinstance(value, (int, float)) and not isinstance(value, bool) and math.isfinite(value)


@dataclass(frozen=True)
class CaptionOptions:
    """How captions are decoded. Every field is checked when the options are made: RequestError.

    Attributes:
        max_new_tokens: length limit in tokens, prefix not counted. 32 is what clip-interrogator uses.
        min_new_tokens: the caption may not end before.
        num_beams: 1 is greedy search, more is beam search. There is no sampling: the same image, the same caption.
        repetition_penalty: above 1 makes words that are there already less likely (CTRL, arXiv 1909.05858).
        no_repeat_ngram_size: no sequence of this many tokens comes twice; 0 allows it.
        length_penalty: beams only; above 0 favours longer captions, below 0 shorter ones.
        prefix: words that the caption begins with, such as "a picture of"; they steer what the model goes on to say.
        keep_prefix: whether the prefix stays in the caption that comes back. In a prompt it usually is in the way.
        batch_size: how many images go through the model together at most. It changes speed and memory, not captions
            (but for ties within the rounding of the dtype).
        strip: words and phrases taken out of the finished caption; see `strip_words`. () keeps everything.
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
                raise RequestError(f"{name} has to be a whole number of at least {least}, not {value!r}")
        if self.min_new_tokens > self.max_new_tokens:
            raise RequestError(
                f"min_new_tokens ({self.min_new_tokens}) is above max_new_tokens ({self.max_new_tokens})"
            )
        if not is_number(self.repetition_penalty) or self.repetition_penalty <= 0:
            raise RequestError(f"repetition_penalty has to be a number above 0, not {self.repetition_penalty!r}")
        if not is_number(self.length_penalty):
            raise RequestError(f"length_penalty has to be a number, not {self.length_penalty!r}")
        if not isinstance(self.prefix, str):
            raise RequestError(f"prefix has to be a text, not {self.prefix!r}")
        if isinstance(self.strip, str) or not all(isinstance(entry, str) for entry in self.strip):
            raise RequestError(f"strip has to be a list of words, not {self.strip!r}")
        object.__setattr__(self, "strip", tuple(self.strip))


DEFAULT_OPTIONS = CaptionOptions()
