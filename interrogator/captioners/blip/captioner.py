"""Captions by BLIP (arXiv 2201.12086): a vision transformer encodes the image, a text decoder writes about it."""

from __future__ import annotations

from collections.abc import Sequence
from os import PathLike
from typing import Any, Unpack

import torch

from ...batches import in_batches
from ...errors import RequestError
from ...models import Ability, Located
from ...progress import Progress, watched
from ...registry import LoadOptions, load_as
from ..decoding.likeliest import likeliest
from ..decoding.sampler import Sampler
from ..options import DEFAULT_OPTIONS, CaptionOptions
from ..sample_keys import content_key
from ..sampling_options import DEFAULT_SAMPLING, Sampled, SamplingOptions, one_sample
from ..strip import strip_words
from .checkpoint import load_blip
from .forbidden_words import ForbiddenWords
from .model import BlipModel
from .text_decoder import LENGTH, SAMPLE_LENGTH, BlipText, check_captioner
from .vision import Pixels, read_images


class BlipCaptioner(BlipModel):
    """Writes captions with transformers' `BlipForConditionalGeneration`, base or large."""

    abilities: frozenset[Ability] = frozenset({"beams", "sampling", "prefix", "forbidden words"})

    def __init__(self, model: Any, processor: Any, name: str = "blip", *, origin: Located | None = None) -> None:
        """Wrap a loaded model and its processor, in the model's dtype and on its device.

        Raises ModelError: the model is not a BLIP captioner.
        """
        check_captioner(model)
        super().__init__(model, processor, origin or Located("captioner", name, self.family))

    @classmethod
    def load(
        cls, name: str | PathLike[str] = "Salesforce/blip-image-captioning-large", **options: Unpack[LoadOptions]
    ) -> BlipCaptioner:
        """Load a captioner by hub id or folder.

        options: device, dtype, download, progress, revision; see `registry.load_model`, also for the errors. No layer
        is ever left with random weights.
        """
        return load_as(cls, "captioner", name, **options)

    @classmethod
    def from_files(cls, located: Located, device: torch.device, dtype: torch.dtype) -> BlipCaptioner:
        """Build a located model. Raises ModelLoadError: its files are damaged or lack a tensor."""
        assert located.folder is not None
        model, processor = load_blip(located.folder)
        return cls(model.to(device=device, dtype=dtype), processor, located.name, origin=located)

    def caption(
        self, prepared: Sequence[Pixels], options: CaptionOptions = DEFAULT_OPTIONS, progress: Progress | None = None
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
        options = options.with_length(LENGTH)
        prompt = self.prompt_ids(options)

        def write(start: int, stop: int) -> list[list[int]]:
            model, report = watched(self.module, progress)
            with torch.inference_mode():
                report(start, len(prepared))
                states = read_images(model, self.processor, prepared[start:stop])  # [b, P, width]
                return likeliest(BlipText(model), states, prompt, options)

        captions: list[str] = []
        for batch in in_batches(len(prepared), options.batch_size, write, self.device):
            captions += [self.text_of(prompt, tokens, options) for tokens in batch]
        if progress is not None and captions:
            progress(len(captions), len(captions))
        return captions

    def sample(
        self,
        prepared: Sequence[Pixels],
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
        model is not a BLIP captioner).
        """
        if len(keys) != len(prepared):
            raise RequestError(f"got {len(keys)} keys for {len(prepared)} images; give one for each")
        options = options.with_length(SAMPLE_LENGTH)
        caption_options = options.caption_options
        prompt = self.prompt_ids(caption_options)
        forbidden = ForbiddenWords(options.forbidden, self.processor.tokenizer)
        check_captioner(self.module)
        sampler = Sampler(prompt, options, forbidden, lambda tokens: self.text_of(prompt, tokens, caption_options))

        def write(start: int, stop: int) -> list[list[Sampled]]:
            model, report = watched(self.module, progress)
            with torch.inference_mode():
                report(start, len(prepared))
                states = read_images(model, self.processor, prepared[start:stop])  # [b, P, width]
                return sampler.captions(BlipText(model), states, keys[start:stop])

        results: list[list[Sampled]] = []
        for batch in in_batches(len(prepared), sampler.images_at_once, write, self.device):
            results += batch
        if progress is not None and results:
            progress(len(results), len(results))
        return results

    def prompt_ids(self, options: CaptionOptions) -> list[int]:
        """Token ids of the prefix: the decoder's input after its start token. options: with a length."""
        length = options.with_length(LENGTH).max_new_tokens
        assert length is not None
        with self.tokenizing:
            ids: list[int] = self.processor.tokenizer(options.prefix, add_special_tokens=False)["input_ids"]
        config: Any = self.module.config
        room = config.text_config.max_position_embeddings - 1  # one position for the start token
        if len(ids) + length > room:
            raise RequestError(
                f"the prefix ({len(ids)} tokens) and max_new_tokens ({length}) exceed the {room} "
                f"tokens that {self.name} can write; shorten the prefix or lower max_new_tokens"
            )
        return ids

    def text_of(self, prompt: list[int], tokens: list[int], options: CaptionOptions) -> str:
        """The caption for new `tokens` after the `prompt`, without the end token, stripped."""
        if options.keep_prefix:
            tokens = prompt + tokens
        with self.tokenizing:
            text: str = self.processor.tokenizer.decode(
                tokens, skip_special_tokens=True, clean_up_tokenization_spaces=True
            )
        # A caption that continues the prefix's last word starts with a word-piece mark.
        return strip_words(" ".join(text.removeprefix("##").split()), options.strip)
