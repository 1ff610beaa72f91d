"""Similarity and top-k over tables of embeddings: tensors only, no models, no files."""

from __future__ import annotations

import torch
from torch import Tensor

# Similarities that differ by less are ties, broken by the order of the phrases. fp32 sums of about a thousand
# products differ by some 1e-7 between thread counts and batch shapes; the spread of a real bank is about 1e-2.
TIE = 1e-6


def similarities(embedding: Tensor, table: Tensor) -> Tensor:
    """Cosine of one embedding with every row of a table.

    Args:
        embedding: [D] unit vector, any float dtype.
        table: [N, D] unit rows, any float dtype, on any device.

    Returns:
        [N] float32 on the table's device.
    """
    return table.float() @ embedding.to(table.device).float()  # [N, D] @ [D] -> [N]


def top_k(scores: Tensor, k: int) -> list[int]:
    """The places of the `k` highest of `scores` [N], highest first, ties (`TIE`) in the order of their places.

    `torch.topk` promises no order among equals, and equals are common: lists hold phrases whose tokens are the same.
    """
    k = min(k, scores.numel())
    if k <= 0:
        return []
    values = scores.double().cpu()
    threshold = values.topk(k).values[-1]
    # Whatever ties with the last place may be its rightful holder, so it is a contender too.
    contenders = torch.nonzero(values >= threshold - TIE).flatten()  # [M], ascending
    steps = torch.round(values[contenders] / TIE)  # equal steps are ties
    order = torch.sort(steps, descending=True, stable=True).indices
    return [int(place) for place in contenders[order[:k]]]


def first_best(scores: Tensor) -> int:
    """The first place of `scores` [N] that is within `TIE` of the highest.

    Raises:
        ValueError: there are no scores.
    """
    if scores.numel() == 0:
        raise ValueError("no scores to choose from")
    values = scores.double().cpu()
    return int(torch.nonzero(values >= values.max() - TIE)[0])
