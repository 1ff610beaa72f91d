"""The image side of every BLIP."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
import numpy.typing as npt
import torch
from PIL import Image
from torch import Tensor

from ...images import to_rgb

Pixels = npt.NDArray[np.uint8]

_CPU_SCORES = 12_000_000  # attention scores per layer: two images in BLIP large, hundreds in a small model


def prepare(processor: Any, image: Image.Image) -> Pixels:
    """An image, of any mode and size, at the model's input size: uint8 [H, W, 3]. Raises ImageReadError.

    The model's output is the same as for the original. Takes a quarter of the memory of float32 pixels.
    """
    size = processor.image_processor.size
    resample = Image.Resampling(int(processor.image_processor.resample))
    return np.array(to_rgb(image).resize((size["width"], size["height"]), resample))


def read_images(model: Any, processor: Any, prepared: Sequence[Pixels]) -> Tensor:
    """The vision tower's states for prepared images, uint8 [H, W, 3] each: [B, P, width] in the dtype of the weights.

    The class token comes first. On a CPU only a few images go through the tower at once: more are no faster, and
    progress is reported between layers, one of which takes seconds for eight images in a large model.
    """
    weight = next(model.parameters())
    few = _at_once(model)
    groups = [prepared[start : start + few] for start in range(0, len(prepared), few)] if few else [prepared]
    states = []
    for group in groups:
        pixels = pixels_of(processor, group, weight.device)  # [b, 3, H, W]
        states.append(model.vision_model(pixel_values=pixels.to(weight.dtype))[0])
    return torch.cat(states)  # [B, P, width]


def pixels_of(processor: Any, prepared: Sequence[Pixels], device: torch.device) -> Tensor:
    """Pixels of prepared images on a device, float32 [B, 3, H, W], equal to BLIP's image processor up to rounding.

    Bytes are transferred and then scaled on the device: transferring floats would take four times as long, and
    computing them on the CPU longer than a GPU needs for the model.
    """
    rules = processor.image_processor
    raw = torch.from_numpy(np.stack(prepared))  # uint8 [B, H, W, 3]
    pixels = raw.to(device).permute(0, 3, 1, 2).float()  # [B, 3, H, W]
    if rules.do_rescale:
        pixels = pixels * rules.rescale_factor
    if rules.do_normalize:
        mean, std = (
            torch.tensor(each, dtype=torch.float32, device=device).view(3, 1, 1)
            for each in (rules.image_mean, rules.image_std)
        )
        pixels = (pixels - mean) / std
    return pixels.contiguous()


def _at_once(model: Any) -> int:
    """How many images go through the vision tower at once; 0 means all."""
    positions = model.vision_model.embeddings.position_embedding  # [1, tokens, width]
    if positions.device.type != "cpu":
        return 0
    scores = positions.shape[1] ** 2 * model.config.vision_config.num_attention_heads  # of one image and layer
    return max(1, _CPU_SCORES // int(scores))
