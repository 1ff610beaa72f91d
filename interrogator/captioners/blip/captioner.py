"""Captions by BLIP (arXiv 2201.12086): a vision transformer encodes the image, a text decoder writes about it."""

from __future__ import annotations

from collections.abc import Sequence
from os import PathLike
from typing import Any, Unpack

import torch
from torch import Tensor

from ...models import Ability, Located
from ...registry import LoadOptions, load_as
from ..decoding.captioner import DecodingCaptioner
from .checkpoint import load_blip
from .forbidden_words import ForbiddenWords
from .model import BlipModel
from .text_decoder import BlipText, check_captioner
from .vision import Pixels, read_images


class BlipCaptioner(BlipModel, DecodingCaptioner):
    """Writes captions with transformers' `BlipForConditionalGeneration`, base or large."""

    abilities: frozenset[Ability] = frozenset({"beams", "sampling", "prefix", "forbidden words"})
    length, sample_length = 32, 30  # clip-interrogator's limit, and that of samples in BLIP's own demo

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

    def states(self, model: Any, prepared: Sequence[Pixels]) -> Tensor:
        return read_images(model, self.processor, prepared)

    def text_model(self, model: Any, prompt: list[int]) -> BlipText:
        return BlipText(model)

    def encoded(self, prefix: str) -> list[int]:
        with self.tokenizing:
            ids: list[int] = self.processor.tokenizer(prefix, add_special_tokens=False)["input_ids"]
        return ids

    def decoded(self, tokens: list[int]) -> str:
        with self.tokenizing:
            text: str = self.processor.tokenizer.decode(
                tokens, skip_special_tokens=True, clean_up_tokenization_spaces=True
            )
        return text.removeprefix("##")  # of a caption that continues the prefix's last word

    def room(self) -> int:
        config: Any = self.module.config
        return int(config.text_config.max_position_embeddings) - 1

    def forbids(self, words: Sequence[str]) -> ForbiddenWords:
        return ForbiddenWords(words, self.processor.tokenizer)
