"""What captioners that are decoded here share, whatever their family: batches, progress, memory, lengths, texts."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Callable, Sequence
from typing import Any, TypeVar

import torch
from torch import Tensor, nn

from ...batches import in_batches
from ...errors import RequestError
from ...progress import Progress, watched
from ..options import DEFAULT_OPTIONS, CaptionOptions
from ..sample_keys import content_key
from ..sampling_options import DEFAULT_SAMPLING, Sampled, SamplingOptions, one_sample
from ..strip import strip_words
from .decoder import Forbids
from .likeliest import likeliest
from .sampler import Sampler
from .text_model import TextModel

Result = TypeVar("Result")


class DecodingCaptioner(ABC):
    """A captioner that encodes an image once and writes about it with a `TextModel`.

    Attributes:
        length, sample_length: tokens of a caption, and of a sample, where nobody says how many.
    """

    name: str
    module: nn.Module
    length: int
    sample_length: int

    @property
    @abstractmethod
    def device(self) -> torch.device:
        """Where the weights are."""

    @abstractmethod
    def states(self, model: Any, prepared: Sequence[Any]) -> Tensor:
        """What the text decoder attends to, [b, P, width], for prepared images. model: the module or a view of it."""

    @abstractmethod
    def text_model(self, model: Any, prompt: list[int]) -> TextModel:
        """The text decoder. model: the module or a view of it. prompt: ids of the prefix."""

    @abstractmethod
    def encoded(self, prefix: str) -> list[int]:
        """Token ids of a prefix, without start and end token."""

    @abstractmethod
    def decoded(self, tokens: list[int]) -> str:
        """The text of token ids."""

    @abstractmethod
    def room(self) -> int:
        """Tokens that fit behind the start token."""

    def forbids(self, words: Sequence[str]) -> Forbids | None:
        """Which tokens would complete one of these words. Raises RequestError: the captioner cannot forbid words."""
        if words:
            raise RequestError(f"{self.name} cannot do forbidden words; use another captioner")
        return None

    def caption(
        self, prepared: Sequence[Any], options: CaptionOptions = DEFAULT_OPTIONS, progress: Progress | None = None
    ) -> list[str]:
        """One caption for each prepared image, in order, without the prefix unless `options.keep_prefix`.

        progress(done, total) counts images; it is called several times a second in the caller's thread, even inside
        the model, and may raise to cancel.

        If memory runs out, it continues with half as many images at a time. Raises RequestError: prefix and
        `max_new_tokens` exceed the model's maximum length.
        """
        if options.temperature:
            keys = [content_key(pixels) for pixels in prepared]
            return [one.text for (one,) in self.sample(prepared, keys, one_sample(options), progress)]
        options = options.with_length(self.length)
        prompt = self.prompt_ids(options)

        def write(model: Any, start: int, stop: int) -> list[str]:
            states = self.states(model, prepared[start:stop])  # [b, P, width]
            found = likeliest(self.text_model(model, prompt), states, prompt, options)
            return [self.text_of(prompt, tokens, options) for tokens in found]

        return self._batches(len(prepared), options.batch_size, write, progress)

    def sample(
        self,
        prepared: Sequence[Any],
        keys: Sequence[str],
        options: SamplingOptions = DEFAULT_SAMPLING,
        progress: Progress | None = None,
    ) -> list[list[Sampled]]:
        """`options.count` captions for each prepared image, in order.

        keys: a name for each image, such as its path. Random numbers depend only on seed, key, number of the caption,
        position and token, so an image gets the same captions whatever else is in its batch, wherever it is in the
        batch, and however many threads or captions there are (the first of 40 equals the first of 1). This holds up to
        rounding: another batch changes scores in their last bits, and with a probability of about that change a
        different token is chosen: about 1e-5 per token in fp32 and 1e-2 in bf16, less if one token is by far the most
        likely.

        progress as in `caption`. If memory runs out, it continues with fewer captions at a time, then with fewer
        images. Raises RequestError (options that do not fit the model, or not one key per image) and ModelError (the
        model has another structure).
        """
        if len(keys) != len(prepared):
            raise RequestError(f"got {len(keys)} keys for {len(prepared)} images; give one for each")
        options = options.with_length(self.sample_length)
        shared = options.caption_options
        prompt = self.prompt_ids(shared)
        forbidden = self.forbids(options.forbidden)
        sampler = Sampler(prompt, options, forbidden, lambda tokens: self.text_of(prompt, tokens, shared))

        def write(model: Any, start: int, stop: int) -> list[list[Sampled]]:
            states = self.states(model, prepared[start:stop])  # [b, P, width]
            return sampler.captions(self.text_model(model, prompt), states, keys[start:stop])

        return self._batches(len(prepared), sampler.images_at_once, write, progress)

    def _batches(
        self, count: int, most: int, write: Callable[[Any, int, int], list[Result]], progress: Progress | None
    ) -> list[Result]:
        """The results of `write(model, start, stop)` for all images, in order; `model` reports between layers."""

        def watched_write(start: int, stop: int) -> list[Result]:
            model, report = watched(self.module, progress)
            with torch.inference_mode():
                report(start, count)
                return write(model, start, stop)

        results = [one for batch in in_batches(count, most, watched_write, self.device) for one in batch]
        if progress is not None and results:
            progress(len(results), len(results))
        return results

    def prompt_ids(self, options: CaptionOptions) -> list[int]:
        """Token ids of the prefix: the decoder's input after its start token. options: with a length."""
        length = options.with_length(self.length).max_new_tokens
        assert length is not None
        ids = self.encoded(options.prefix)
        if len(ids) + length > self.room():
            raise RequestError(
                f"the prefix ({len(ids)} tokens) and max_new_tokens ({length}) exceed the {self.room()} "
                f"tokens that {self.name} can write; shorten the prefix or lower max_new_tokens"
            )
        return ids

    def text_of(self, prompt: list[int], tokens: list[int], options: CaptionOptions) -> str:
        """The caption for new `tokens` after the `prompt`, without the end token, stripped."""
        text = self.decoded(prompt + tokens if options.keep_prefix else tokens)
        return strip_words(" ".join(text.split()), options.strip)
