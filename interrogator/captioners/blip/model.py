"""What every BLIP of transformers shares, whatever its head: weights, processor, and how it takes an image."""

from __future__ import annotations

from typing import Any

import torch
from PIL import Image

from ...models import Located
from ...threads import Lock
from .vision import Pixels, prepare

_WORKING_BYTES = 2_000_000_000  # eight images, and 64 texts about each, large model, float32


class BlipModel:
    """A loaded BLIP; may be used by several threads.

    Attributes:
        module: the model of transformers; it may be moved between devices between calls.
        processor: a `transformers.BlipProcessor`: image processor and tokenizer.
        name: hub id, folder, or the name given to it.
        origin: where it was located.
        tokenizing: held while the tokenizer works; one of Hugging Face cannot be reconfigured while another thread
            uses it.
    """

    family = "blip"

    def __init__(self, model: Any, processor: Any, origin: Located) -> None:
        """Wrap a loaded model and its processor, in the model's dtype and on its device."""
        self.module: torch.nn.Module = model.eval()
        self.processor = processor
        self.name = origin.name
        self.origin = origin
        self.tokenizing = Lock()

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

    def prepare(self, image: Image.Image) -> Pixels:
        """An image as the model reads it: uint8 [H, W, 3] at its input size. Raises ImageReadError."""
        return prepare(self.processor, image)
