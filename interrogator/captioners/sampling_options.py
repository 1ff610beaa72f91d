"""How captions are sampled, and what comes of it."""

from __future__ import annotations

from dataclasses import dataclass

from ..errors import RequestError
from .options import CaptionOptions, is_number
from .strip import DEFAULT_STRIP

_LEAST = {"count": 1, "top_k": 0}


@dataclass(frozen=True)
class SamplingOptions:
    """How captions are sampled. Every field is checked when the options are made: RequestError.

    Attributes:
        count: captions an image. Some may be alike; nothing is filtered here.
        temperature: above 1 more various, below 1 more probable; 0 is greedy search, all captions alike.
        top_k: only the k most likely tokens may come next; 0 allows all.
        top_p: only the fewest tokens that together have this probability may (nucleus sampling, arXiv 1904.09751).
        min_new_tokens: a caption may not end before.
        max_new_tokens: length limit in tokens, prefix not counted.
        repetition_penalty: above 1 makes words that are there already less likely (CTRL, arXiv 1909.05858).
        no_repeat_ngram_size: no sequence of this many tokens comes twice; 0 allows it.
        prefix: words that captions begin with; they steer what the model goes on to say.
        keep_prefix: whether the prefix stays in the captions that come back.
        forbidden: words and phrases that are never written, whatever their case (see `ForbiddenWords`); they are kept
            from being sampled, while `strip` takes words out of what was.
        strip: words and phrases taken out of the finished captions; see `strip_words`. () keeps everything.
        seed: another seed, other captions.
        batch_size: how many images go through the model together at most. It changes speed and memory, not captions.
    """

    count: int = 40
    temperature: float = 1.0
    top_k: int = 0
    top_p: float = 0.9
    min_new_tokens: int = 5
    max_new_tokens: int = 30
    repetition_penalty: float = 1.0
    no_repeat_ngram_size: int = 0
    prefix: str = ""
    keep_prefix: bool = False
    forbidden: tuple[str, ...] = ()
    strip: tuple[str, ...] = DEFAULT_STRIP
    seed: int = 0
    batch_size: int = 8

    def __post_init__(self) -> None:
        for name, least in _LEAST.items():
            value = getattr(self, name)
            if isinstance(value, bool) or not isinstance(value, int) or value < least:
                raise RequestError(f"{name} has to be a whole number of at least {least}, not {value!r}")
        if isinstance(self.seed, bool) or not isinstance(self.seed, int):
            raise RequestError(f"seed has to be a whole number, not {self.seed!r}")
        if not is_number(self.temperature) or self.temperature < 0:
            raise RequestError(f"temperature has to be a number of at least 0, not {self.temperature!r}")
        if not is_number(self.top_p) or not 0 < self.top_p <= 1:
            raise RequestError(f"top_p has to be a number above 0 and at most 1, not {self.top_p!r}")
        if isinstance(self.forbidden, str) or not all(isinstance(entry, str) for entry in self.forbidden):
            raise RequestError(f"forbidden has to be a list of words, not {self.forbidden!r}")
        object.__setattr__(self, "forbidden", tuple(self.forbidden))
        object.__setattr__(self, "strip", self.caption_options.strip)

    @property
    def caption_options(self) -> CaptionOptions:
        """What these options have in common with those of one caption, checked by the same rules."""
        return CaptionOptions(
            max_new_tokens=self.max_new_tokens,
            min_new_tokens=self.min_new_tokens,
            repetition_penalty=self.repetition_penalty,
            no_repeat_ngram_size=self.no_repeat_ngram_size,
            prefix=self.prefix,
            keep_prefix=self.keep_prefix,
            batch_size=self.batch_size,
            strip=self.strip,
        )


@dataclass(frozen=True)
class Sampled:
    """One sampled caption.

    Attributes:
        text: as `Captioner.caption` gives it.
        tokens: its token ids, without prefix and end token.
        log_probability: natural logarithm of the probability that the model gives to these tokens after the prefix,
            its end token included where it ended by itself; by the model alone, before temperature and penalties.
        ended: whether it ended by itself and not at the length limit.
    """

    text: str
    tokens: tuple[int, ...]
    log_probability: float
    ended: bool

    @property
    def mean_log_probability(self) -> float:
        """The log-probability a token, the end token counted where it is there."""
        return self.log_probability / max(1, len(self.tokens) + self.ended)


def greedy(options: CaptionOptions) -> SamplingOptions:
    """One caption an image with the likeliest token each time, by the rules of `options`; its beams are left out."""
    return SamplingOptions(
        count=1,
        temperature=0.0,
        top_p=1.0,
        min_new_tokens=options.min_new_tokens,
        max_new_tokens=options.max_new_tokens,
        repetition_penalty=options.repetition_penalty,
        no_repeat_ngram_size=options.no_repeat_ngram_size,
        prefix=options.prefix,
        keep_prefix=options.keep_prefix,
        strip=options.strip,
        batch_size=options.batch_size,
    )


DEFAULT_SAMPLING = SamplingOptions()

LAION_COCO = SamplingOptions(
    count=40,
    top_p=0.2427084604681384,
    top_k=9607,
    min_new_tokens=5,
    max_new_tokens=45,
    prefix="a picture of",
    seed=1257,
)
"""The numbers of the worker that captioned LAION-COCO with BLIP large (https://laion.ai/blog/laion-coco/).

They are those of public copies of its script. It held lengths to 20, 30, 30, 45 and 45 tokens, for eight captions each,
and ended captions early by the probability of the end; here the largest length holds for all and ends are sampled.
"""
