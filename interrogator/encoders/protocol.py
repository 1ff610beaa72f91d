"""What the rest of the library asks of an encoder."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, Protocol, runtime_checkable

import torch
from PIL import Image
from torch import Tensor

from ..embeddings import EncoderIdentity
from ..progress import Progress


@runtime_checkable
class Encoder(Protocol):
    """An image and text encoder in the manner of CLIP (Radford et al. 2021, arXiv 2103.00020).

    All embeddings are float32 rows of unit length on the model's device. `progress(done, total)` may raise to
    cancel and is called at least about once a second, between layers if need be.
    """

    name: str
    model: Any
    preprocess: Any
    tokenizer: Any
    context_length: int
    dtype: torch.dtype

    @property
    def module(self) -> torch.nn.Module:
        """The one home of the weights; a host may move it between devices."""
        ...

    def embed_images(self, images: Sequence[Image.Image], progress: Progress | None = None) -> Tensor:
        """Embeddings [N, D] of images."""
        ...

    def encode_texts(
        self, texts: Sequence[str], progress: Progress | None = None, dtype: torch.dtype | None = None
    ) -> Tensor:
        """Embeddings [N, D] of texts; what exceeds the context is cut off.

        dtype: what to compute in; None is the encoder's own. An encoder whose own is float32 is never asked for
            another.
        """
        ...

    def encode_continuations(
        self, prompt: str, phrases: Sequence[str], progress: Progress | None = None, dtype: torch.dtype | None = None
    ) -> Tensor:
        """Embeddings [N, D] of `f"{prompt}, {phrase}"` for each phrase, of the phrase alone after an empty prompt."""
        ...

    def count(self, text: str) -> int:
        """How many tokens a text has, start and end tokens included, were there no limit."""
        ...

    def fits(self, text: str) -> bool:
        """Whether no token of a text is cut off."""
        ...

    def identity(self) -> EncoderIdentity:
        """What tells this model's text embeddings from any other's; keys the cache on disk."""
        ...
