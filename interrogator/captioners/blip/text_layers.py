"""The layers of BLIP's text transformer, with the image's keys and values computed once and shared by many texts.

A layer attends to its own text, then to the image, then applies a feed-forward block (Li et al., "BLIP",
arXiv 2201.12086; a BERT with cross-attention). The keys and values of the image depend on the image alone, so n texts
about one image need them only once; transformers' own forward computes and stores them for each text.

The model's own modules are called: nothing is copied, their hooks run, and they may be on any device.
Shapes: B images, n texts each, L tokens a text, D width, h heads of d numbers (D = h d), P image patches.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor, nn

from ...errors import ModelError
from ..decoding.text_model import KeysValues, attend


@dataclass(frozen=True)
class Attention:
    """The projections of one attention of the model, and its output block."""

    query: nn.Module
    key: nn.Module
    value: nn.Module
    output: nn.Module
    heads: int

    def keys_values(self, states: Tensor) -> KeysValues:
        """Keys and values [rows, h, L, d] of states [rows, L, width]."""
        return self._split(self.key(states)), self._split(self.value(states))

    def attend(
        self, hidden: Tensor, keys_values: KeysValues, mask: Tensor | None = None, causal: bool = False
    ) -> Tensor:
        """Hidden states [rows, L, D] after attention to `keys_values` [rows, h, K, d], with the residual added.

        mask: bool, broadcasts to [rows, h, L, K]; False hides a position. causal: a token attends only to itself and
        those before it; requires L = K.
        """
        query = self._split(self.query(hidden))  # [rows, h, L, d]
        attended = attend(query, keys_values, mask, causal)  # [rows, h, L, d]
        joined: Tensor = self.output(attended.transpose(1, 2).flatten(2), hidden)
        return joined

    def _split(self, states: Tensor) -> Tensor:
        return states.view(*states.shape[:2], self.heads, -1).transpose(1, 2)  # [rows, h, L, d]


@dataclass(frozen=True)
class TextLayer:
    """One layer: `own` attends to the text, `image` to the image."""

    own: Attention
    image: Attention
    intermediate: nn.Module
    output: nn.Module

    def forward(
        self, hidden: Tensor, own: KeysValues, image: KeysValues, mask: Tensor | None = None, causal: bool = False
    ) -> Tensor:
        """The output states [B, n, L, D] of the layer.

        own: keys and values of the text, [B n, h, K, d], including those of `hidden`. image: keys and values of the
        image, [B, h, P, d]. mask, causal: see `Attention.attend`; they apply to the text.
        """
        shape = hidden.shape
        hidden = self.own.attend(hidden.flatten(0, 1), own, mask, causal)  # [B n, L, D]
        # The texts about an image are concatenated as if they were one: they attend to the image, not to each other.
        hidden = self.image.attend(hidden.reshape(shape[0], -1, shape[3]), image)  # [B, n L, D]
        hidden = self.output(self.intermediate(hidden), hidden)
        return hidden.view(shape)


def text_layers(transformer: Any) -> list[TextLayer]:
    """The layers of a text transformer of transformers' BLIP (`BlipTextModel`), 4.50 and 5.x.

    Raises ModelError: it has another structure.
    """
    try:
        return [_layer(layer) for layer in transformer.encoder.layer]
    except (AttributeError, TypeError) as error:
        raise ModelError(f"the model does not have the text transformer of a BLIP: {error}") from error


def image_keys_values(layers: list[TextLayer], states: Tensor) -> list[KeysValues]:
    """For each layer the keys and values [B, h, P, d] of the image, given as states [B, P, width]."""
    pairs = (layer.image.keys_values(states) for layer in layers)
    # Contiguous, because every text reads them once per token.
    return [(keys.contiguous(), values.contiguous()) for keys, values in pairs]


def embed(transformer: Any, ids: Tensor, first: int = 0) -> Tensor:
    """Embeddings [B, n, L, D] of token ids [B, n, L] at the positions from `first` on."""
    positions = torch.arange(first, first + ids.shape[2], device=ids.device).unsqueeze(0)  # [1, L]
    embedded: Tensor = transformer.embeddings(input_ids=ids.flatten(0, 1), position_ids=positions)  # [B n, L, D]
    return embedded.view(*ids.shape, -1)


def _layer(layer: Any) -> TextLayer:
    return TextLayer(_attention(layer.attention), _attention(layer.crossattention), layer.intermediate, layer.output)


def _attention(attention: Any) -> Attention:
    inner = attention.self
    if getattr(inner, "position_embedding_type", "absolute") != "absolute":  # an option of 4.x
        raise ModelError("BLIP text transformers with relative positions are not supported")
    return Attention(inner.query, inner.key, inner.value, attention.output, int(inner.num_attention_heads))
