"""The rules of a loaded open_clip text tower: which positions of a text count, and which one is pooled.

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
    """The tower is not causal (a position depends on later ones), or its structure is unknown."""


@dataclass(frozen=True)
class Rules:
    """How a causal text tower reads token ids [N, L] padded to its context.

    Attributes:
        tower: the module that holds token_embedding, positional_embedding, transformer and ln_final.
        context_length: L.
        pool: the position that is pooled: `argmax` (of the ids), `eos` (the first `eos_id`, else position 0), `first`,
            `last`, or `class` (the class token of CoCa).
        pad_id: the padding id, which the class token's mask hides.
        hides_next: CoCa's weights were trained with a mask that is off by one: a padding id hides the position after
            it, so the class token sees one padding position, and sees itself only after a full text. False hides the
            padding itself (`correct_cls_mask`).
    """

    tower: Any
    context_length: int
    pool: str
    eos_id: int
    pad_id: int
    hides_next: bool

    @property
    def class_token(self) -> int:
        """The id used for the class token: the first one beyond the vocabulary."""
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
                raise NotCausal(f"the text tower lacks {name}")
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
        """The tokens of ids [N, L] up to the pooled position: tokens [N, L + 1] and lengths [N].

        Tokens after that position have no influence on it.
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
        # The class token follows the positions it sees: the text, and one padding position under CoCa's mask.
        full = length - (ids[:, ::-1] != self.pad_id).argmax(axis=1)  # [N] length before the padding at the end
        full[(ids == self.pad_id).all(axis=1)] = 0
        visible = np.minimum(full + self.hides_next, length)  # [N]
        padded[np.arange(count), visible] = self.class_token
        return padded, visible + 1

    def positions(self, tokens: Ints, depths: Ints) -> Ints:
        """The rows of the position table for nodes of these tokens and depths, of any shape."""
        if self.pool != "class":
            return depths
        return np.where(tokens == self.class_token, self.context_length, depths)

    def hidden(self, tokens: Ints, before: Ints) -> Flags:
        """Whether the mask hides positions as keys: `tokens` of any shape, `before` the token before each, or -1.

        CoCa's class token, hidden from itself unless the text is full, needs no special rule: the token before it is
        padding in exactly that case.
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
    """Whether an additive mask lets each position see itself and those before it, and no others."""
    if not isinstance(mask, Tensor) or mask.shape != (length, length):
        return False
    expected = torch.full((length, length), float("-inf")).triu(1)
    return torch.equal(mask.detach().float().cpu(), expected)
