"""The keys and values of texts in progress, and of the images that they are about."""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor

from ...errors import CaptionError
from ..token_choice import NO_NUMBERS, spoiled
from .text_model import KeysValues, TextModel


@dataclass(frozen=True)
class EncodedImages:
    """The state shared by all texts about the images.

    Attributes:
        image: for each layer that attends to the image, keys and values [B, h, P, d].
        prompt: for each layer that attends to the text, keys and values of start token and prompt, [B, h, 1 + p, d].
        logits: of the first new token, [B, V].
    """

    image: list[KeysValues]
    prompt: list[KeysValues]
    logits: Tensor


def encode(text: TextModel, states: Tensor, prompt: list[int]) -> EncodedImages:
    """Encode images, given as states [B, P, width], and a prompt of ids, the start token among them, for any texts.

    Raises CaptionError: the logits about an image are NaN.
    """
    image = text.image_keys_values(states)
    ids = torch.tensor(prompt, device=states.device).expand(len(states), 1, -1)  # [B, 1, 1 + p]
    own: list[KeysValues] = []

    def remember(layer: int, new: KeysValues) -> KeysValues:
        own.append(new)
        return new

    logits = text.logits(ids, 0, image, remember)  # [B, V]
    if any(spoiled(logits)):
        raise CaptionError(NO_NUMBERS)
    return EncodedImages(image, own, logits)


class Caches:
    """The caches of texts in progress: R = images * n rows, those of one image adjacent."""

    def __init__(self, encoded: EncodedImages, texts: int, prompt: int, new: int) -> None:
        """Begin `texts` texts about each image after a prompt of `prompt` tokens, with room for `new` more."""
        self.images = len(encoded.logits)
        self.image = encoded.image
        self.length = prompt  # filled length
        self.own = [
            (_room(keys, texts, prompt + new), _room(values, texts, prompt + new)) for keys, values in encoded.prompt
        ]

    def with_new(self, layer: int, new: KeysValues) -> KeysValues:
        """A layer's keys and values [R, h, length + 1, d], with those of one more token, [R, h, 1, d]."""
        keys, values = self.own[layer]
        end = self.length + 1
        keys[:, :, self.length : end], values[:, :, self.length : end] = new
        return keys[:, :, :end], values[:, :, :end]

    def logits(self, text: TextModel, newest: Tensor) -> Tensor:
        """Logits [R, V] after the newest token of each text, [R], which is added to the caches."""
        ids = newest.view(self.images, -1, 1)  # [B, n, 1]
        logits = text.logits(ids, self.length, self.image, self.with_new)
        self.length += 1
        return logits

    def pick(self, rows: Tensor, images: list[int]) -> None:
        """Keep these rows [R'], in this order, and these images, about each of which there are equally many rows."""
        self.own = [(keys[rows], values[rows]) for keys, values in self.own]
        if len(images) < self.images:
            kept = rows.new_tensor(images)
            self.image = [(keys[kept], values[kept]) for keys, values in self.image]
            self.images = len(images)


def _room(prompt: Tensor, texts: int, length: int) -> Tensor:
    """A cache [B texts, h, length, d] that begins with the prompt's [B, h, 1 + p, d]; the rest is uninitialised."""
    images, heads, filled, width = prompt.shape
    room = prompt.new_empty(images * texts, heads, length, width)
    room[:, :, :filled] = prompt.repeat_interleave(texts, dim=0)
    return room
