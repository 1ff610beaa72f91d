"""BLIP's text decoder as captions are decoded with it."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from torch import Tensor

from ...errors import ModelError
from ..decoding.text_model import KeysValues, Remember
from .text_layers import embed, image_keys_values, text_layers


def check_captioner(model: Any) -> None:
    """Raises ModelError: the model does not have the structure of transformers' `BlipForConditionalGeneration`."""
    try:
        parts = (model.vision_model, model.text_decoder.cls, model.config.text_config, model.text_decoder.bert)
    except AttributeError as error:
        raise ModelError(f"the model is not a BLIP captioner: {error}") from error
    text_layers(parts[-1])


class BlipText:
    """The text decoder of a `BlipForConditionalGeneration`, or of a view of one; see `TextModel`."""

    never: Sequence[int] = ()

    def __init__(self, model: Any) -> None:
        """Wrap a model. Raises ModelError: see `check_captioner`."""
        check_captioner(model)
        text = model.config.text_config
        self.transformer, self.head = model.text_decoder.bert, model.text_decoder.cls
        self.layers = text_layers(self.transformer)
        self.start, self.end, self.padding = text.bos_token_id, text.sep_token_id, text.pad_token_id

    def image_keys_values(self, states: Tensor) -> list[KeysValues]:
        return image_keys_values(self.layers, states)

    def logits(self, ids: Tensor, first: int, image: list[KeysValues], remember: Remember) -> Tensor:
        hidden = embed(self.transformer, ids, first)  # [B, n, L, D]
        causal = ids.shape[2] > 1
        for index, (layer, image_part) in enumerate(zip(self.layers, image, strict=True)):
            own = remember(index, layer.own.keys_values(hidden.flatten(0, 1)))
            hidden = layer.forward(hidden, own, image_part, causal=causal)
        logits: Tensor = self.head(hidden[:, :, -1].flatten(0, 1))  # [B n, V]
        return logits
