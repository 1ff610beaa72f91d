"""CoCa's text tower and decoder, with the keys and values of image and text computed once.

The text tower reads the text alone; the decoder reads the tower's states, attends to the image after each of its layers
and predicts the next token (Yu et al., "CoCa", arXiv 2205.01917). All of it is causal, so what was computed for a token
never changes. open_clip has no cache: it computes the whole text anew for each token.

The model's own weights and modules are used: nothing is copied, and they may be on any device.
Shapes: B images, n texts each, R = B n rows, L tokens a text, D width, h heads of d numbers, P states of an image.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor

from ...errors import ModelError
from ..decoding.text_model import KeysValues, Remember, attend


def check_captioner(model: Any) -> None:
    """Raises ModelError: the model does not have the structure of open_clip's `CoCa`, with open_clip's text tower."""
    from open_clip.transformer import MultimodalTransformer, ResidualAttentionBlock, TextTransformer

    text, decoder = getattr(model, "text", None), getattr(model, "text_decoder", None)
    if not isinstance(decoder, MultimodalTransformer):
        raise ModelError(f"the model is not a CoCa: it is a {type(model).__name__} without a text decoder")
    if not isinstance(text, TextTransformer) or text.attn_mask is None or text.cls_emb is None:
        raise ModelError(f"the text tower of this CoCa ({type(text).__name__}) is not the causal one of open_clip")
    for block in (*text.transformer.resblocks, *decoder.resblocks, *decoder.cross_attn):
        if not isinstance(block, ResidualAttentionBlock):
            raise ModelError(f"a CoCa with layers of type {type(block).__name__} is not supported")


class CocaText:
    """The text tower and decoder of a `CoCa` of open_clip, or of a view of one; see `TextModel`.

    Padding is never written: open_clip's training ignores it, so that its scores mean nothing. Its id is also that of
    the character "!" in the middle of a word, which may occur in a prompt. The tower then hides one position from all
    tokens, as it does for padding; in the published models it is the one after it.
    """

    def __init__(self, model: Any, prompt: list[int], start: int, end: int) -> None:
        """Wrap a model that `check_captioner` accepts. prompt: token ids after the start token, of all texts."""
        self.tower, self.decoder = model.text, model.text_decoder
        self.start, self.end, self.padding = start, end, int(self.tower.pad_id)
        self.never: Sequence[int] = (start, self.padding)
        self._tower = [_Block(block) for block in self.tower.transformer.resblocks]
        self._own = [_Block(block) for block in self.decoder.resblocks]
        self._image = [_Block(block) for block in self.decoder.cross_attn]
        shift = 0 if self.tower.correct_cls_mask else 1
        self._hidden = [at + shift for at, each in enumerate([start, *prompt]) if each == self.padding]

    def image_keys_values(self, states: Tensor) -> list[KeysValues]:
        return [block.image_keys_values(states) for block in self._image]

    def logits(self, ids: Tensor, first: int, image: list[KeysValues], remember: Remember) -> Tensor:
        images, texts, length = ids.shape
        causal = None  # one token sees all before it
        if length > 1:
            causal = torch.ones(length, first + length, dtype=torch.bool, device=ids.device).tril(first)
        positions = self.tower.positional_embedding[first : first + length]  # [L, D]
        hidden = self.tower.token_embedding(ids.flatten(0, 1)) + positions  # [R, L, D]
        visible = self._visible(causal, first + length, ids.device)
        for index, block in enumerate(self._tower):  # its class token, behind the text, is seen by no other
            hidden = block.attend_to_text(hidden, index, remember, visible)
        for index, (own, cross) in enumerate(zip(self._own, self._image, strict=True)):
            hidden = own.attend_to_text(hidden, len(self._tower) + index, remember, causal)
            # The texts about an image are concatenated as if they were one: they attend to the image only.
            joined = cross.attend_to_image(hidden.reshape(images, texts * length, -1), image[index])  # [B, n L, D]
            hidden = joined.view(hidden.shape)
        logits: Tensor = self.decoder.ln_final(hidden[:, -1]) @ self.decoder.text_projection  # [R, V]
        return logits

    def _visible(self, causal: Tensor | None, length: int, device: torch.device) -> Tensor | None:
        """What the tower lets tokens attend to: bool, broadcasts to [L, length]; None is all of it."""
        hidden = [at for at in self._hidden if at < length]
        if not hidden:
            return causal
        visible = torch.ones(1, length, dtype=torch.bool, device=device)
        visible[:, hidden] = False
        return visible if causal is None else visible & causal


class _Block:
    """One `ResidualAttentionBlock` of open_clip: attention and a feed-forward block, each after a normalisation."""

    def __init__(self, block: Any) -> None:
        self.block = block
        self.heads = int(block.attn.num_heads)

    def image_keys_values(self, states: Tensor) -> KeysValues:
        """Keys and values [B, h, P, d] of the image, given as states [B, P, D]."""
        keys, values = self._projected(self.block.ln_1_kv(states), 1, 3)
        # Contiguous, because every text reads them once per token.
        return keys.contiguous(), values.contiguous()

    def attend_to_text(self, hidden: Tensor, layer: int, remember: Remember, mask: Tensor | None) -> Tensor:
        """The output states [R, L, D] of a layer that attends to the text so far. mask: as of `attend`."""
        query, keys, values = self._projected(self.block.ln_1(hidden), 0, 3)
        return self._rest(hidden, attend(query, remember(layer, (keys, values)), mask))

    def attend_to_image(self, hidden: Tensor, image: KeysValues) -> Tensor:
        """The output states [B, n L, D] of a layer that attends to the image."""
        (query,) = self._projected(self.block.ln_1(hidden), 0, 1)
        return self._rest(hidden, attend(query, image))

    def _projected(self, states: Tensor, first: int, last: int) -> tuple[Tensor, ...]:
        """Of query, key and value those from `first` to before `last`, each [rows, h, L, d]."""
        attn, width = self.block.attn, states.shape[-1]
        some = slice(first * width, last * width)
        projected = F.linear(states, attn.in_proj_weight[some], attn.in_proj_bias[some])  # [rows, L, parts D]
        parts = projected.view(*states.shape[:2], last - first, self.heads, -1)  # [rows, L, parts, h, d]
        return tuple(parts.permute(2, 0, 3, 1, 4))

    def _rest(self, hidden: Tensor, attended: Tensor) -> Tensor:
        """hidden: [rows, L, D]. attended: [rows, h, L, d]."""
        block = self.block
        hidden = hidden + block.ls_1(block.attn.out_proj(attended.transpose(1, 2).flatten(2)))
        rest: Tensor = hidden + block.ls_2(block.mlp(block.ln_2(hidden)))
        return rest
