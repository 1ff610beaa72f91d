"""The half of every BLIP that reads images."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from PIL import Image
from torch import Tensor

from ..images import to_rgb

_CPU_SCORES = 12_000_000  # attention scores a layer: two images of BLIP large, hundreds of a small model


def images_at_once(model: Any, most: int) -> int:
    """How many images go through the vision tower at once: `most`, or fewer on a CPU.

    There more images are hardly faster, and progress is told between layers: one attention layer of a large model over
    eight images takes seconds.
    """
    positions = model.vision_model.embeddings.position_embedding  # [1, tokens, width]
    if positions.device.type != "cpu":
        return most
    scores = positions.shape[1] ** 2 * model.config.vision_config.num_attention_heads  # of one image and layer
    return max(1, min(most, _CPU_SCORES // int(scores)))


def read_images(model: Any, processor: Any, images: Sequence[Image.Image]) -> Tensor:
    """What the vision tower makes of RGB images: [B, P, width], the class token first, in the dtype of the weights."""
    weight = next(model.parameters())
    pixels = processor.image_processor(images=list(images), return_tensors="pt")["pixel_values"]  # [B, 3, H, W]
    states: Tensor = model.vision_model(pixel_values=pixels.to(device=weight.device, dtype=weight.dtype))[0]
    return states


def shrunk(processor: Any, image: Image.Image) -> Image.Image:
    """A picture at the size that a model reads it in, RGB; what the model says of it is what it says of the picture.

    For those who keep many pictures waiting: the rest of a large one would only take up memory.
    """
    size = processor.image_processor.size
    resample = Image.Resampling(int(processor.image_processor.resample))
    return to_rgb(image).resize((size["width"], size["height"]), resample)
