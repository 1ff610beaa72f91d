"""The layers of a causal text tower, called on groups of trie nodes instead of padded texts."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, TypeVar

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from ..module_views import view_of
from .rules import Rules

M = TypeVar("M", bound=nn.Module)

_HALVES = (torch.float16, torch.bfloat16)


@dataclass(frozen=True)
class View:
    """What the nodes of some groups attend to in one layer.

    mask: [G, 1, M, T + M], added to the products of queries and keys: 0 where visible, else -inf.
    past: keys and values of the trunk, [1, T, W] each; None if there is no trunk.
    """

    mask: Tensor
    past: tuple[Tensor, Tensor] | None = None


@dataclass(frozen=True)
class Layer:
    """One residual block of the tower. It has no weights of its own: `block` belongs to the model or a view of it."""

    block: Any

    def forward(
        self, x: Tensor, view: View, ends: Tensor | None = None, in_float32: bool = False
    ) -> tuple[Tensor, Tensor, Tensor]:
        """The output states of the block, and its keys and values.

        Args:
            x: [G, M, W] states of the nodes.
            ends: [G, E] the only slots whose states are needed; only these go through queries and MLP.
            in_float32: compute with a temporary float32 copy of the block's weights.

        Returns:
            states [G, M, W], or [G, E, W] of the ends; keys and values of the nodes, [G, M, W] each.
        """
        block = raised(self.block) if in_float32 else self.block
        attention = block.attn
        weight, bias = attention.in_proj_weight, attention.in_proj_bias  # [3W, W], [3W] or None
        width = x.shape[-1]
        mask = view.mask.to(x.dtype)
        normed = block.ln_1(x)
        if ends is None:
            query, key, value = F.linear(normed, weight, bias).chunk(3, dim=-1)
        else:
            x, normed_ends = _at(x, ends), _at(normed, ends)  # [G, E, W]
            mask = torch.take_along_dim(mask, ends[:, None, :, None], dim=2)  # [G, 1, E, T + M]
            query = F.linear(normed_ends, weight[:width], None if bias is None else bias[:width])
            key, value = F.linear(normed, weight[width:], None if bias is None else bias[width:]).chunk(2, dim=-1)
        attended = _attend(query, _behind(view, 0, key), _behind(view, 1, value), mask, attention.num_heads)
        x = x + _scaled(block, "ls_1", attention.out_proj(attended))
        x = x + _scaled(block, "ls_2", block.mlp(block.ln_2(x)))
        return x, key, value


def embed(rules: Rules, tokens: Tensor, positions: Tensor, in_float32: bool) -> Tensor:
    """The input of the first layer: token plus position embeddings, [..., W] for tokens and positions [...]."""
    tower = rules.tower
    dtype = torch.float32 if in_float32 else tower.transformer.get_cast_dtype()
    x: Tensor = tower.token_embedding(tokens.clamp(0, rules.class_token - 1)).to(dtype)
    if rules.pool == "class":
        x = torch.where((tokens == rules.class_token)[..., None], tower.cls_emb.to(dtype), x)
    x = x + tower.positional_embedding[positions].to(dtype)
    return x


def project(rules: Rules, x: Tensor, in_float32: bool) -> Tensor:
    """Features [N, D] of the last states [N, W]; the final norm is per position, so pooling first is exact."""
    norm, projection = rules.tower.ln_final, rules.tower.text_projection
    features: Tensor = (raised(norm) if in_float32 else norm)(x)
    if isinstance(projection, nn.Module):
        features = (raised(projection) if in_float32 else projection)(features)
    elif projection is not None:
        features = features @ (projection.float() if in_float32 else projection)
    return features


def raised(module: M) -> M:
    """The module; if it has half-precision weights, a view of it with these in float32."""
    weights = {name: value.float() for name, value in module.named_parameters() if value.dtype in _HALVES}
    return view_of(module, weights) if weights else module


def _attend(query: Tensor, key: Tensor, value: Tensor, mask: Tensor, heads: int) -> Tensor:
    """Attention of queries [G, Q, W] to keys and values [G, K, W] with a mask [G, 1, Q, K]: [G, Q, W]."""
    query, key, value = (
        x.view(*x.shape[:2], heads, -1).transpose(1, 2) for x in (query, key, value)
    )  # [G, H, Q or K, W / H]
    attended = F.scaled_dot_product_attention(query, key, value, attn_mask=mask.to(query.dtype))
    return attended.transpose(1, 2).flatten(2)


def _behind(view: View, which: int, own: Tensor) -> Tensor:
    """Keys (0) or values (1) of the trunk and then of the nodes, [G, T + M, W]; the trunk is copied for each group."""
    if view.past is None:
        return own
    past = view.past[which]
    return torch.cat([past.expand(len(own), -1, -1), own], dim=1)


def _at(x: Tensor, positions: Tensor) -> Tensor:
    """The rows of [G, M, W] at positions [G, E]: [G, E, W]."""
    return torch.take_along_dim(x, positions[:, :, None], dim=1)


def _scaled(block: Any, name: str, x: Tensor) -> Tensor:
    scale = getattr(block, name, None)  # LayerScale, or nothing
    scaled: Tensor = x if scale is None else scale(x)
    return scaled
