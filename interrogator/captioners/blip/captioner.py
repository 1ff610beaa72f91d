"""Captions by BLIP (arXiv 2201.12086): a vision transformer encodes the image, a text decoder writes about it."""

from __future__ import annotations

from collections.abc import Sequence
from os import PathLike
from typing import Any, Unpack

import torch

from ...batches import in_batches
from ...errors import RequestError
from ...models import Ability, Located
from ...module_views import view_of
from ...progress import Progress, watched
from ...registry import LoadOptions, load_as
from ..options import DEFAULT_OPTIONS, CaptionOptions
from ..sample_keys import content_key
from ..sampling_options import DEFAULT_SAMPLING, Sampled, SamplingOptions, greedy, one_sample
from ..strip import strip_words
from .checkpoint import load_blip
from .decoder import LENGTH, SAMPLE_LENGTH, Decoder, check_captioner
from .forbidden_words import ForbiddenWords
from .model import BlipModel
from .sampler import Sampler
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
                search = self._greedy if options.num_beams == 1 else self._beams
                return search(model, states, prompt, options)

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
                return sampler.captions(model, states, keys[start:stop])

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

    def _greedy(self, model: Any, states: torch.Tensor, prompt: list[int], options: CaptionOptions) -> list[list[int]]:
        """New token ids for each image, given as states [b, P, width], by greedy search."""
        decoder = Decoder(model, prompt, greedy(options), ForbiddenWords((), self.processor.tokenizer))
        return [text.tokens for text in decoder.write(decoder.read(states), [""] * len(states), range(1))]

    def _beams(self, model: Any, states: torch.Tensor, prompt: list[int], options: CaptionOptions) -> list[list[int]]:
        """New token ids for each image, given as states [b, P, width], by beam search; padded to equal length."""
        text = model.config.text_config
        row = [text.bos_token_id, *prompt]
        ids = torch.tensor([row] * len(states), dtype=torch.long, device=states.device)  # [b, 1 + p]
        # All settings are explicit, to override a generation_config.json beside the weights.
        settings: dict[str, Any] = {
            "max_new_tokens": options.max_new_tokens,
            "num_beams": options.num_beams,
            "do_sample": False,
            "repetition_penalty": float(options.repetition_penalty),
            "no_repeat_ngram_size": options.no_repeat_ngram_size,
            "length_penalty": float(options.length_penalty),
        }
        if options.min_new_tokens:
            settings["min_new_tokens"] = options.min_new_tokens
        # `generate` may modify the model it is called on, hence a view.
        written: torch.Tensor = view_of(model.text_decoder).generate(
            input_ids=ids,
            attention_mask=torch.ones_like(ids),
            encoder_hidden_states=states,
            encoder_attention_mask=ids.new_ones(states.shape[:2]),
            eos_token_id=text.sep_token_id,
            pad_token_id=text.pad_token_id,
            **settings,
        )  # [b, 1 + p + n]
        return written[:, len(row) :].tolist()

    def text_of(self, prompt: list[int], tokens: list[int], options: CaptionOptions) -> str:
        """The caption for new `tokens` after the `prompt`, cut at the end token and stripped."""
        config: Any = self.module.config
        end = config.text_config.sep_token_id
        if end in tokens:
            tokens = tokens[: tokens.index(end)]
        if options.keep_prefix:
            tokens = prompt + tokens
        with self.tokenizing:
            text: str = self.processor.tokenizer.decode(
                tokens, skip_special_tokens=True, clean_up_tokenization_spaces=True
            )
        # A caption that continues the prefix's last word starts with a word-piece mark.
        return strip_words(" ".join(text.removeprefix("##").split()), options.strip)
