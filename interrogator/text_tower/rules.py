"""What a loaded open_clip model says of its text tower: which places of a text count, and where its answer is read.

Everything here is read off the modules (open_clip/transformer.py and model.py); nothing depends on a model's name.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn

from .trie import Flags, Ints

_POOLS = ("argmax", "eos", "first", "last")


class NotCausal(Exception):
    """The tower is not one whose places depend only on those before them, or is built in a way unknown here."""


@dataclass(frozen=True)
class Rules:
    """How a causal text tower reads token ids [N, L] padded to its context.

    Attributes:
        tower: the module that holds token_embedding, positional_embedding, transformer and ln_final.
        context_length: L.
        pool: where the answer is read: `argmax` (of the ids), `eos` (the first `eos_id`, else place 0), `first`,
            `last`, or `class` (the class token of CoCa).
        pad_id: the id whose places the class token's mask hides.
        hides_next: CoCa's weights were trained with a mask that is off by one: a padding id hides the place behind
            it, so the class token sees one padding place and sees itself only behind a full text. False hides the
            place itself (`correct_cls_mask`).
    """

    tower: Any
    context_length: int
    pool: str
    eos_id: int
    pad_id: int
    hides_next: bool

    @property
    def class_token(self) -> int:
        """The number that stands for the class token: one behind the vocabulary."""
        return int(self.tower.token_embedding.num_embeddings)

    @classmethod
    def of(cls, model: Any) -> Rules:
        """The rules of a model's text tower.

        Raises:
            NotCausal: there is no causal tower of open_clip's own structure.
        """
        apart = hasattr(model, "text")
        tower = model.text if apart else model
        for name in ("token_embedding", "positional_embedding", "transformer", "ln_final"):
            if not hasattr(tower, name):
                raise NotCausal(f"the text tower has no {name}")
        blocks = getattr(tower.transformer, "resblocks", None)
        if not blocks or not all(map(_is_plain, blocks)):
            raise NotCausal("the blocks of the text tower are of an unknown structure")
        has_class = getattr(tower, "cls_emb", None) is not None
        context = tower.positional_embedding.shape[0] - has_class
        if not _is_causal(getattr(tower, "attn_mask", None), context + has_class):
            raise NotCausal("the text tower's mask is not causal")
        # The model's own tower has its rules on the model, under other names.
        pool = getattr(tower, "pool_type" if apart else "text_pool_type", "argmax")
        if not has_class and pool not in _POOLS:
            raise NotCausal(f"pooling {pool!r} is unknown")
        return cls(
            tower,
            int(context),
            "class" if has_class else pool,
            int(getattr(tower, "eos_id" if apart else "text_eos_id", -1)),
            int(getattr(tower, "pad_id", 0)),
            not getattr(tower, "correct_cls_mask", False),
        )

    def sequences(self, ids: Ints) -> tuple[Ints, Ints]:
        """Of token ids [N, L] the places up to the one that is read: tokens [N, L + 1], and their numbers [N].

        Whatever stands behind that place has no influence on it.
        """
        count, length = ids.shape
        padded = np.concatenate([ids, np.zeros((count, 1), dtype=ids.dtype)], axis=1)  # room for the class token
        if self.pool == "first":
            return padded, np.ones(count, dtype=np.int64)
        if self.pool == "last":
            return padded, np.full(count, length)
        if self.pool == "argmax":
            return padded, ids.argmax(axis=1) + 1
        if self.pool == "eos":
            return padded, (ids == self.eos_id).argmax(axis=1) + 1
        # The class token stands behind the places that it sees: the text, and one padding place under CoCa's mask.
        full = length - (ids[:, ::-1] != self.pad_id).argmax(axis=1)  # [N] places before the padding at the end
        full[(ids == self.pad_id).all(axis=1)] = 0
        seen = np.minimum(full + self.hides_next, length)
        padded[np.arange(count), seen] = self.class_token
        return padded, seen + 1

    def positions(self, tokens: Ints, depths: Ints) -> Ints:
        """The row of the position table for nodes of these tokens and depths, any shape."""
        if self.pool != "class":
            return depths
        return np.where(tokens == self.class_token, self.context_length, depths)

    def hidden(self, tokens: Ints, before: Ints) -> Flags:
        """Whether the mask hides places as keys: `tokens` of any shape, `before` the token in front of each or -1.

        CoCa's class token, hidden from itself unless the text is full, needs no rule of its own: what stands in
        front of it is padding in just that case.
        """
        if self.pool != "class":
            return np.zeros(tokens.shape, dtype=np.bool_)
        hidden: Flags = (before if self.hides_next else tokens) == self.pad_id
        return hidden


def _is_plain(block: nn.Module) -> bool:
    """Whether a block is x + attention(ln_1(x)), then x + mlp(ln_2(x)), with PyTorch's own attention in it."""
    attention = getattr(block, "attn", None)
    return (
        all(hasattr(block, name) for name in ("ln_1", "ln_2", "mlp"))
        and not hasattr(block, "ln_1_kv")  # attends to images
        and isinstance(attention, nn.MultiheadAttention)
        and attention.in_proj_weight is not None
        and attention.bias_k is None
        and attention.bias_v is None
        and not attention.add_zero_attn
    )


def _is_causal(mask: Any, length: int) -> bool:
    """Whether an additive mask lets each place see itself and those before it, and no other."""
    if not isinstance(mask, Tensor) or mask.shape != (length, length):
        return False
    expected = torch.full((length, length), float("-inf")).triu(1)
    return torch.equal(mask.detach().float().cpu(), expected)
