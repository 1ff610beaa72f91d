"""What the decoding of captions asks of a text decoder, and the attention that its layers share.

Shapes: B images, n texts each, R = B n rows with those of one image adjacent, L tokens a text, V words in the
vocabulary, h heads of d numbers, P positions of an image.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Protocol

import torch
from torch import Tensor
from torch.nn.functional import scaled_dot_product_attention

KeysValues = tuple[Tensor, Tensor]
"""Keys and values of one attention, each [rows, h, L, d]."""

Remember = Callable[[int, KeysValues], KeysValues]
"""(layer, keys and values of the tokens given [R, h, L, d]) -> those of the whole text so far [R, h, first + L, d]."""


class TextModel(Protocol):
    """A causal text decoder that attends to an image. It holds no state: what it computed is stored by the caller.

    Attributes:
        start, end, padding: ids of the token before a text, of the one that ends it, and of one to fill up with.
        never: ids that are no part of any caption and are never written.
    """

    start: int
    end: int
    padding: int
    never: Sequence[int]

    def image_keys_values(self, states: Tensor) -> list[KeysValues]:
        """For each layer that attends to the image, its keys and values [B, h, P, d], from states [B, P, width]."""
        ...

    def logits(self, ids: Tensor, first: int, image: list[KeysValues], remember: Remember) -> Tensor:
        """Logits [R, V] of the token that follows `ids` [B, n, L], which are at the positions from `first` on.

        remember: called once for each layer that attends to the text, in order.
        """
        ...


def attend(query: Tensor, keys_values: KeysValues, mask: Tensor | None = None, causal: bool = False) -> Tensor:
    """Attention [rows, h, L, d] of queries [rows, h, L, d] to keys and values [rows, h, K, d].

    On a CPU it uses plain matrix products: torch's fused kernel takes two to six times as long for the few queries of a
    text, most of all in bfloat16 (torch 2.14 on AVX-512).

    mask: bool, broadcasts to [rows, h, L, K]; False hides a position. causal: a token attends only to itself and those
    before it; requires L = K. At most one of the two may be given.
    """
    keys, values = keys_values
    if query.device.type != "cpu":
        return scaled_dot_product_attention(query, keys, values, attn_mask=mask, is_causal=causal)
    scores = (query * query.shape[-1] ** -0.5) @ keys.transpose(-1, -2)  # [rows, h, L, K]
    if causal:
        mask = torch.ones(scores.shape[-2:], dtype=torch.bool).tril()
    if mask is not None:
        scores = scores.masked_fill(~mask, float("-inf"))
    attended: Tensor = scores.softmax(dim=-1) @ values
    return attended
