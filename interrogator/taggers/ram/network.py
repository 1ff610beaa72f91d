"""The network of RAM++: a Swin trunk, and a head that asks the image about each tag.

Huang et al., "Open-Set Image Tagging with Multi-Grained Text Supervision" (arXiv 2310.15200). Each tag has several
descriptions, embedded by CLIP. How much each counts depends on the image; their weighted mean is the tag's query, which
attends to the image in two layers without self-attention, and becomes one logit.

Shapes: B images, P patches of the trunk's last stage, C tags, d descriptions a tag, E width of embeddings, D width of
the head, h heads.
"""

from __future__ import annotations

from dataclasses import dataclass

import torch
import torch.nn.functional as F
from timm.models.swin_transformer import SwinTransformer
from torch import Tensor, nn

HEADS = 4
_EPSILON = 1e-12
"""Heads of the tagging head and the epsilon of its normalisations: in no tensor's shape, the same in all releases
(recognize-anything, ram/configs/q2l_config.json)."""


@dataclass(frozen=True)
class Sizes:
    """The shapes of one release.

    Attributes:
        patch, window, embed_dim, depths, heads: of the Swin trunk (arXiv 2103.14030); depths and heads by stage.
        tags, descriptions: C, and d for each.
        embedding: E.
        width, inner, layers: of the tagging head: D, width of the feed-forward blocks, number of layers.
    """

    patch: int
    window: int
    embed_dim: int
    depths: tuple[int, ...]
    heads: tuple[int, ...]
    tags: int
    descriptions: int
    embedding: int
    width: int
    inner: int
    layers: int

    @property
    def image(self) -> int:
        """Side of an image in pixels: one window covers the last stage."""
        return int(self.patch * self.window * 2 ** (len(self.depths) - 1))


class RamNetwork(nn.Module):
    """Logits of all tags for images; parameters are uninitialised."""

    def __init__(self, sizes: Sizes) -> None:
        super().__init__()
        self.trunk = SwinTransformer(
            img_size=sizes.image, patch_size=sizes.patch, num_classes=0, global_pool="", embed_dim=sizes.embed_dim,
            depths=sizes.depths, num_heads=sizes.heads, window_size=sizes.window, weight_init="skip",
        )  # fmt: skip
        self.image_proj = nn.Linear(self.trunk.num_features, sizes.embedding)
        self.descriptions = nn.Parameter(torch.empty(sizes.tags * sizes.descriptions, sizes.embedding))  # [C d, E]
        self.reweight_scale = nn.Parameter(torch.empty(()))
        self.wordvec_proj = nn.Linear(sizes.embedding, sizes.width)
        self.layers = nn.ModuleList(_Layer(sizes.width, sizes.embedding, sizes.inner) for _ in range(sizes.layers))
        self.fc = nn.Linear(sizes.width, 1)
        self._tags = sizes.tags

    def forward(self, pixels: Tensor) -> Tensor:
        """Logits [B, C] of images [B, 3, H, W], normalised as ImageNet's."""
        patches = self.trunk.forward_features(pixels).flatten(1, 2)  # [B, P, width of the trunk]
        states = self.image_proj(torch.cat([patches.mean(dim=1, keepdim=True), patches], dim=1))  # [B, 1 + P, E]
        hidden = F.relu(self.wordvec_proj(self._queries(states[:, 0])))  # [B, C, D]
        for layer in self.layers:
            hidden = layer(hidden, states)
        logits: Tensor = self.fc(hidden).squeeze(-1)
        return logits

    def _queries(self, image: Tensor) -> Tensor:
        """For each tag the mean of its descriptions, weighted by their similarity to the image [B, E]: [B, C, E]."""
        similarity = F.normalize(image, dim=-1) @ self.descriptions.T * self.reweight_scale.exp()  # [B, C d]
        weights = similarity.view(len(image), self._tags, -1).softmax(dim=-1)  # [B, C, d]
        described = self.descriptions.view(self._tags, -1, image.shape[-1])  # [C, d, E]
        return torch.bmm(weights.transpose(0, 1), described).transpose(0, 1)


class _Layer(nn.Module):
    """Attention to the image and a feed-forward block, each added to its input and normalised."""

    def __init__(self, width: int, embedding: int, inner: int) -> None:
        super().__init__()
        self.query, self.key, self.value = (nn.Linear(each, width) for each in (width, embedding, embedding))
        self.attended = nn.Linear(width, width)
        self.attended_norm = nn.LayerNorm(width, eps=_EPSILON)
        self.wide, self.narrow = nn.Linear(width, inner), nn.Linear(inner, width)
        self.norm = nn.LayerNorm(width, eps=_EPSILON)

    def forward(self, hidden: Tensor, states: Tensor) -> Tensor:
        """Hidden states [B, C, D] after attention to the image's states [B, 1 + P, E]."""
        query, key, value = (
            each.unflatten(-1, (HEADS, -1)).transpose(1, 2)  # [B, h, C or 1 + P, D / h]
            for each in (self.query(hidden), self.key(states), self.value(states))
        )
        attended = F.scaled_dot_product_attention(query, key, value).transpose(1, 2).flatten(2)  # [B, C, D]
        hidden = self.attended_norm(self.attended(attended) + hidden)
        out: Tensor = self.norm(self.narrow(F.gelu(self.wide(hidden))) + hidden)
        return out
