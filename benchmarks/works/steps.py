"""One step of the chain on either side, the same question to both: which phrase comes next."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor

from benchmarks import peer
from interrogator import OpenClipEncoder
from interrogator.pipeline.scorer import Scorer
from interrogator.prompts import join
from interrogator.ranking import first_best

NEAR = 1e-5  # two phrases that are as good as each other in fp32


@dataclass(frozen=True)
class Pick:
    """What our step chose, whether the prompt then fits, and the similarities [N] it chose by."""

    phrase: str
    fits: bool
    scores: Tensor


def peer_step(ci: Any, features: Tensor, prompt: str, phrases: Sequence[str]) -> str:
    """What the peer does in each turn of its chain: score all, score the winner again, test the length."""
    best: str = ci.rank_top(features, [f"{prompt}, {phrase}" for phrase in phrases])
    ci.similarity(features, best)
    peer.at_max_length(ci, best)
    return best[len(prompt) + 2 :]


def our_step(encoder: OpenClipEncoder, embedding: Tensor, prompt: str, phrases: Sequence[str]) -> Pick:
    """What ours does in each turn of its chain; in half precision the choice is settled in float32, which is timed."""
    with torch.inference_mode():
        scores = Scorer(encoder, embedding)(prompt, phrases)
    phrase = phrases[first_best(scores)]
    return Pick(phrase, encoder.fits(join(prompt, phrase)), scores)


def encoded_nodes(encoder: OpenClipEncoder) -> int:
    """Token positions that the encoder has run through its text tower so far; nothing else here reads its counter."""
    tower = encoder.text_tower
    if tower is None:
        raise SystemExit(f"{encoder.name}: its texts go through the model's own forward, which counts no positions")
    return tower.nodes


def needed_nodes(encoder: OpenClipEncoder, prompt: str, phrases: Sequence[str]) -> int:
    """Token positions that a step cannot do without: the distinct beginnings of its texts.

    A position depends only on the tokens up to it.
    """
    ids = torch.as_tensor(encoder.tokenizer([join(prompt, phrase) for phrase in phrases]))  # [N, context]
    lengths = (ids != 0).sum(dim=1).tolist()
    beginnings: set[tuple[int, ...]] = set()
    for row, length in zip(ids.tolist(), lengths, strict=True):
        beginnings.update(tuple(row[:stop]) for stop in range(1, length + 1))
    return len(beginnings)


def step_flops(nodes: int, texts: int, width: int, layers: int, embed_dim: int) -> int:
    """Floating-point operations of the linear layers of a step.

    A layer has W x 3W (queries, keys, values), W x W, W x 4W and 4W x W weights, two operations each: 24 W^2 for a
    position. The last layer makes keys and values for all, 4 W^2, and the rest, 20 W^2, only where a text ends. The
    projection of a text is 2 W D.
    """
    square = width * width
    return (24 * (layers - 1) + 4) * square * nodes + (20 * square + 2 * width * embed_dim) * texts
