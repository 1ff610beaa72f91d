"""Captions by CoCa (arXiv 2205.01917), with open_clip's model and decoding of our own.

open_clip 3.3's own `CoCa.generate` needs classes that transformers 5 no longer has (open_clip issue 1129).
"""

from __future__ import annotations

import re
from collections.abc import Callable, Sequence
from os import PathLike
from typing import Any, Unpack

import torch
from PIL import Image
from torch import Tensor, nn

from ...encoders.open_clip.builder import build_model, build_tokenizer
from ...errors import ModelError, ModelLoadError
from ...images import to_rgb
from ...models import Ability, Located
from ...registry import LoadOptions, load_as
from ..decoding.captioner import DecodingCaptioner
from .text_decoder import CocaText, check_captioner

# open_clip's tokenizer puts a space behind every word and sign.
_SPACE_BEFORE = re.compile(r" +(?=[.,!?;:%)\]}]|n't\b|'(?:s|t|re|ve|m|ll|d)\b)")

_WORKING_BYTES = 3_500_000_000  # eight images, and 256 texts about them, ViT-L/14, float32


class CocaCaptioner(DecodingCaptioner):
    """Writes captions with a `CoCa` of open_clip; may be used by several threads.

    Attributes:
        module: the model; it may be moved between devices between calls.
        preprocess: its image transform: PIL image -> float [3, H, W].
        tokenizer: open_clip's own, a `SimpleTokenizer`.
        name: catalog name, hub id, folder, or the name given to it.
        origin: where it was located.
    """

    family = "coca"
    abilities: frozenset[Ability] = frozenset({"beams", "sampling", "prefix"})
    length = sample_length = 30  # what open_clip's `CoCa.generate` takes

    def __init__(
        self, model: Any, preprocess: Callable[[Image.Image], Tensor], tokenizer: Any, name: str = "coca",
        *, origin: Located | None = None,
    ) -> None:  # fmt: skip
        """Wrap a loaded model, in the model's dtype and on its device.

        Raises ModelError: the model is not a CoCa, or not one with open_clip's own text tower and tokenizer.
        """
        check_captioner(model)
        if not hasattr(tokenizer, "sot_token_id"):
            raise ModelError(f"a CoCa with a tokenizer of type {type(tokenizer).__name__} is not supported")
        self.module: nn.Module = model.eval().requires_grad_(False)
        self.preprocess = preprocess
        self.tokenizer = tokenizer
        self.name = name
        self.origin = origin or Located("captioner", name, self.family)

    @classmethod
    def load(
        cls,
        name: str | PathLike[str] = "coca_ViT-L-14/mscoco_finetuned_laion2b_s13b_b90k",
        **options: Unpack[LoadOptions],
    ) -> CocaCaptioner:
        """Load a captioner by `ARCH/TAG` of open_clip, hub id or folder.

        options: see `registry.load_model`, also for the errors.
        """
        return load_as(cls, "captioner", name, **options)

    @classmethod
    def from_files(cls, located: Located, device: torch.device, dtype: torch.dtype) -> CocaCaptioner:
        """Build a located model. Raises ModelLoadError: its files are damaged, or belong to another model."""
        model, preprocess = build_model(located.parts)
        tokenizer = build_tokenizer(located.parts)
        try:
            check_captioner(model)
        except ModelError as error:
            raise ModelLoadError(f"{located.name}: {error}") from error
        return cls(model.to(device=device, dtype=dtype), preprocess, tokenizer, located.name, origin=located)

    @property
    def device(self) -> torch.device:
        """Where the weights are."""
        return next(self.module.parameters()).device

    @property
    def dtype(self) -> torch.dtype:
        """The dtype of the weights and of the computation."""
        return next(self.module.parameters()).dtype

    @property
    def working_bytes(self) -> int:
        """A generous estimate of the memory of one call, without the weights."""
        return _WORKING_BYTES

    def prepare(self, image: Image.Image) -> Tensor:
        """An image, of any mode and size, as the model reads it: float32 [3, H, W]. Raises ImageReadError."""
        return self.preprocess(to_rgb(image))

    def states(self, model: Any, prepared: Sequence[Tensor]) -> Tensor:
        pixels = torch.stack(list(prepared)).to(self.device, self.dtype)  # [b, 3, H, W]
        _, states = model.visual(pixels)
        assert isinstance(states, Tensor)
        return states

    def text_model(self, model: Any, prompt: list[int]) -> CocaText:
        return CocaText(model, prompt, self.tokenizer.sot_token_id, self.tokenizer.eot_token_id)

    def encoded(self, prefix: str) -> list[int]:
        ids: list[int] = self.tokenizer.encode(prefix)
        return ids

    def decoded(self, tokens: list[int]) -> str:
        return _SPACE_BEFORE.sub("", " ".join(self.tokenizer.decode(tokens).split()))

    def room(self) -> int:
        model: Any = self.module
        return min(int(model.text.context_length), int(model.text_decoder.context_length)) - 1
