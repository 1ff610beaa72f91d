"""A fixed code for every claim: the common target of both towers before contrastive training.

Each attribute value has its own direction, all orthogonal. The code of a picture is the sum of the directions of what
is true of it, that of a text the sum of those of its claims, both of unit length: a true claim brings a text nearer, a
false one moves it away, and a colour counts only for its part, because body and feature colours have separate
directions.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence

import torch
from torch import Tensor

from .data import ATTRIBUTES
from .texts import FALSE_OF_ALL, TRUE_OF_ALL, Claim

WEIGHTS = {"kind": 1.0, "color": 1.0, "feature": 0.8, "feature_color": 0.8, "background": 0.8, "medium": 1.2}
ALWAYS_WEIGHT = 0.35
"""Weight of the direction of claims that are true of every picture in a picture's code."""

CLAIMS: tuple[Claim, ...] = (
    *((name, value) for name, classes in ATTRIBUTES.items() for value in classes),
    TRUE_OF_ALL,
    FALSE_OF_ALL,
)
_INDEX = {claim: i for i, claim in enumerate(CLAIMS)}


def directions(width: int, seed: int = 0) -> Tensor:
    """Orthonormal rows [claims, width]."""
    noise = torch.randn(width, len(CLAIMS), generator=torch.Generator().manual_seed(seed))
    orthonormal: Tensor = torch.linalg.qr(noise).Q
    return orthonormal.T.contiguous()


def claim_flags(claims: Sequence[Iterable[Claim]]) -> Tensor:
    """The claims of each text as 0 or 1: [N, claims]."""
    table = torch.zeros(len(claims), len(CLAIMS))
    for row, each in zip(table, claims, strict=True):
        row[[_INDEX[claim] for claim in each]] = 1.0
    return table


def truth_flags(labels: Tensor) -> Tensor:
    """The claims that are true of each picture as 0 or 1: [N, claims], from class labels [N, 6]."""
    parts = [
        torch.nn.functional.one_hot(labels[:, column], len(classes)).float()
        for column, classes in enumerate(ATTRIBUTES.values())
    ]
    always = torch.tensor([1.0, 0.0]).expand(len(labels), 2)
    return torch.cat([*parts, always], 1)


def _weights() -> Tensor:
    weights = [WEIGHTS[name] for name, classes in ATTRIBUTES.items() for _ in classes]
    return torch.tensor([*weights, ALWAYS_WEIGHT, 1.0])


def text_codes(claims: Tensor, axes: Tensor) -> Tensor:
    """Unit codes [N, D] of texts with the claims [N, claims]."""
    return torch.nn.functional.normalize((claims * _weights()) @ axes, dim=-1)


def picture_codes(claims: Tensor, axes: Tensor) -> Tensor:
    """Unit codes [N, D] of pictures of which the claims [N, claims] hold."""
    shares = claims * _weights()
    shares[:, _INDEX[FALSE_OF_ALL]] = -ALWAYS_WEIGHT
    return torch.nn.functional.normalize(shares @ axes, dim=-1)


def by_attribute(embeddings: Tensor, axes: Tensor, scale: float = 20.0) -> list[Tensor]:
    """For each attribute the logits of its values, read off unit embeddings [N, D]."""
    sizes = [len(classes) for classes in ATTRIBUTES.values()]
    logits = scale * embeddings @ axes[: sum(sizes)].T
    return list(torch.split(logits, sizes, dim=-1))
