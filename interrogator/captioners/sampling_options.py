"""Options for sampling captions, and a sampled caption."""

from __future__ import annotations

from dataclasses import dataclass, fields, replace

from ..errors import RequestError
from .options import DEFAULT_OPTIONS, CaptionOptions, check_sampling, strings
from .strip import DEFAULT_STRIP

_LEAST = {"count": 1, "top_k": 0}


@dataclass(frozen=True)
class SamplingOptions:
    """How captions are sampled. Invalid values raise RequestError on construction.

    Attributes:
        count: number of captions per image. Duplicates are possible; nothing is filtered here.
        temperature: above 1 for more variety, below 1 for more probable captions; 0 is greedy search, all alike.
        top_k: sample only from the k most likely tokens; 0 allows all.
        top_p: sample only from the fewest tokens with this total probability (nucleus sampling, arXiv 1904.09751).
        min_new_tokens: minimum length in tokens, without the prefix.
        max_new_tokens: maximum length in tokens, without the prefix; None is what the captioner's family takes.
        repetition_penalty: above 1 makes words that already occurred less likely (CTRL, arXiv 1909.05858).
        no_repeat_ngram_size: no sequence of this many tokens occurs twice; 0 is off.
        prefix: words that captions begin with; they steer how the model continues.
        keep_prefix: whether the returned captions include the prefix.
        forbidden: words and phrases that are never generated, ignoring case (see `ForbiddenWords`); `strip`, in
            contrast, removes words afterwards.
        strip: words and phrases removed from the finished captions; see `strip_words`. () removes nothing.
        ask, system, trigger, tags, max_pixels: as in `CaptionOptions`.
        seed: a different seed gives different captions.
        batch_size: maximum number of images per batch. Affects speed and memory, not captions.
    """

    count: int = 40
    temperature: float = 1.0
    top_k: int = 0
    top_p: float = 0.9
    min_new_tokens: int = 5
    max_new_tokens: int | None = None
    repetition_penalty: float = 1.0
    no_repeat_ngram_size: int = 0
    prefix: str = ""
    keep_prefix: bool = False
    forbidden: tuple[str, ...] = ()
    strip: tuple[str, ...] = DEFAULT_STRIP
    seed: int = 0
    batch_size: int = 8
    ask: str = ""
    system: str = ""
    trigger: str = ""
    tags: tuple[str, ...] = ()
    max_pixels: int = DEFAULT_OPTIONS.max_pixels

    def __post_init__(self) -> None:
        for name, least in _LEAST.items():
            value = getattr(self, name)
            if isinstance(value, bool) or not isinstance(value, int) or value < least:
                raise RequestError(f"{name} must be an integer of at least {least}, got {value!r}")
        check_sampling(self.temperature, self.top_p, self.seed)
        object.__setattr__(self, "forbidden", strings("forbidden", self.forbidden))
        shared = self.caption_options
        object.__setattr__(self, "strip", shared.strip)
        object.__setattr__(self, "tags", shared.tags)

    @property
    def caption_options(self) -> CaptionOptions:
        """The options shared with `CaptionOptions`, validated by the same rules."""
        return CaptionOptions(**{name: getattr(self, name) for name in _SHARED})

    def with_length(self, default: int) -> SamplingOptions:
        """As of `CaptionOptions`."""
        return replace(self, max_new_tokens=self.caption_options.with_length(default).max_new_tokens)


@dataclass(frozen=True)
class Sampled:
    """One sampled caption.

    Attributes:
        text: in the form that `Captioner.caption` returns.
        tokens: its token ids, without prefix and end token; () where a server keeps them.
        log_probability: natural logarithm of the probability that the model assigns to these tokens after the prefix,
            and to the end token if the caption ended; computed before temperature and penalties. None where a server
            keeps it.
        ended: whether it ended with the end token, and not at the maximum length.
    """

    text: str
    tokens: tuple[int, ...]
    log_probability: float | None
    ended: bool

    @property
    def mean_log_probability(self) -> float | None:
        """The log-probability per token, counting the end token if there is one; None where it is unknown."""
        if self.log_probability is None:
            return None
        return self.log_probability / max(1, len(self.tokens) + self.ended)


def greedy(options: CaptionOptions) -> SamplingOptions:
    """Options for one caption per image of the most likely tokens, by the rules of `options` except its beams."""
    return replace(one_sample(options), temperature=0.0, top_p=1.0)


def one_sample(options: CaptionOptions) -> SamplingOptions:
    """Options for one sampled caption per image, by the rules of `options` except its beams."""
    return SamplingOptions(count=1, **{name: getattr(options, name) for name in _SHARED})


_SHARED = tuple({each.name for each in fields(SamplingOptions)} & {each.name for each in fields(CaptionOptions)})

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
"""The settings of the script that captioned LAION-COCO with BLIP large (https://laion.ai/blog/laion-coco/).

They come from public copies of that script. It limited lengths to 20, 30, 30, 45 and 45 tokens, for eight captions
each, and ended captions early by the probability of the end token; here the largest limit applies to all captions, and
the end token is sampled.
"""
