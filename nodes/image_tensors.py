"""ComfyUI's IMAGE tensors as pictures, and pictures as tensors."""

from __future__ import annotations

from collections.abc import Iterable
from typing import TYPE_CHECKING

import numpy as np
import torch
from PIL import Image

if TYPE_CHECKING:
    from torch import Tensor

_MODES = {1: "L", 3: "RGB", 4: "RGBA"}


def pictures(batches: Iterable[Tensor]) -> list[Image.Image]:
    """The pictures of IMAGE batches, each [B, H, W, C] of values from 0 to 1 in any float dtype; C is 1, 3 or 4.

    Raises:
        ValueError: they contain no picture, or a tensor is not an IMAGE.
    """
    found = [_picture(image) for batch in batches for image in (batch[None] if batch.ndim == 3 else batch)]
    if not found:
        raise ValueError("The image batch is empty: connect a node that outputs at least one image.")
    return found


def as_batch(picture: Image.Image) -> Tensor:
    """A picture as an IMAGE: float32 [1, H, W, 3] of values from 0 to 1."""
    return torch.from_numpy(np.asarray(picture.convert("RGB"), dtype=np.float32) / 255)[None]


def _picture(image: Tensor) -> Image.Image:
    channels = image.shape[-1] if image.ndim == 3 else 0
    if channels not in _MODES or 0 in image.shape:
        raise ValueError(
            f"Not an IMAGE: its shape is {list(image.shape)}, not [height, width, channels]. Connect an image output."
        )
    levels = torch.nan_to_num(image.detach().float()).clamp(0, 1).mul(255).round().to(torch.uint8).cpu()  # [H, W, C]
    return Image.fromarray(levels.numpy().squeeze(-1) if channels == 1 else levels.numpy(), _MODES[channels])
