"""Choosing the next token: which tokens are allowed, and one of them by reproducible random numbers.

The choice is a race. Every token of the vocabulary gets an exponential random number that depends only on the seed, the
image's key, the sample, the step and the token; the token with the largest probability / number wins, and it wins with
exactly its probability (the Gumbel-max trick; Maddison, Tarlow, Minka, "A* Sampling", arXiv 1411.0030). Two runs with
slightly different probabilities then choose differently hardly more often than necessary: with probability <= 2 d,
where d is the total variation distance (Daliri, Musco, Suresh, "Coupling without Communication", arXiv 2408.07978).
Dividing [0, 1] by cumulative probabilities would accumulate the errors of all preceding tokens.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from hashlib import blake2b

import torch
from torch import Tensor

_NEVER = float("-inf")

NO_NUMBERS = "the model computes NaN and no words for this image; use dtype fp32, or fetch its weights again"
"""Why an image has no caption: half precision overflows, or the weights are damaged."""


def spoiled(scores: Tensor) -> list[bool]:
    """Which rows of scores [R, V] hold NaN. The first token is enough: those behind it read the same image."""
    found: list[bool] = scores.isnan().any(dim=-1).tolist()
    return found


@dataclass(frozen=True)
class Draw:
    """Temperature and truncation of a distribution.

    Attributes:
        temperature: above 1 flattens the distribution, below 1 sharpens it; 0 takes the most likely token.
        top_k: only the k most likely tokens are allowed; 0 allows all.
        top_p: only the fewest tokens with this total probability are allowed (nucleus sampling; Holtzman et al.,
            arXiv 1904.09751), applied after top_k; 1 allows all. Equally likely tokens are allowed together or not at
            all.
    """

    temperature: float
    top_k: int
    top_p: float

    def choose(self, scores: Tensor, seeds: Sequence[tuple[int, int]]) -> Tensor:
        """One token id per row, [R] int64, for scores [R, V] float32.

        seeds: two numbers per row (see `row_seed`) that determine the random numbers of its tokens.
        """
        if self.temperature == 0:
            return scores.argmax(dim=-1)
        probability = (scores / self.temperature).softmax(dim=-1)  # [R, V]
        return self._winner(probability, probability / exponential(seeds, scores.shape[1], scores.device))

    def _winner(self, probability: Tensor, race: Tensor) -> Tensor:
        """The token [R] with the largest value in each row of `race` [R, V] among those that top_k and top_p allow.

        Nothing is sorted: only the leading tokens are checked, and if one is not allowed, no less likely token is
        either. Overwrites `race`.
        """
        chosen = race.argmax(dim=-1)  # [R]
        if self.top_p >= 1 and not self.top_k:
            return chosen
        limit = self._limit(probability)  # [R, 1]
        rows = torch.arange(len(race), device=race.device)
        while len(rows):
            some = probability[rows]  # [r, V]
            led = some.gather(1, chosen[rows, None])  # [r, 1]
            above = some > led
            out = (some * above).sum(dim=1, keepdim=True) >= limit[rows]  # [r, 1]
            if self.top_k:
                out |= above.sum(dim=1, keepdim=True) >= self.top_k
            still = out.squeeze(1)
            rows = rows[still]
            race[rows] = race[rows].masked_fill(~above[still], 0.0)
            chosen[rows] = race[rows].argmax(dim=-1)
        return chosen

    def _limit(self, probability: Tensor) -> Tensor:
        """[R, 1]: top_p excludes a token if the more likely tokens have at least this total probability."""
        if self.top_p >= 1:
            return torch.full_like(probability[:, :1], torch.inf)
        if 0 < self.top_k < probability.shape[1]:
            return self.top_p * probability.topk(self.top_k, dim=-1).values.sum(dim=-1, keepdim=True)
        return torch.full_like(probability[:, :1], self.top_p)


def row_seed(seed: int, key: str, sample: int, step: int) -> tuple[int, int]:
    """Two 32-bit numbers for the choice of one token of one caption."""
    identity = f"{seed} {sample} {step} {key}".encode("utf-8", "surrogatepass")
    digest = blake2b(identity, digest_size=8).digest()
    return int.from_bytes(digest[:4], "little", signed=True), int.from_bytes(digest[4:], "little", signed=True)


def exponential(seeds: Sequence[tuple[int, int]], count: int, device: torch.device) -> Tensor:
    """Exponential random numbers of mean 1, float32 [R, count], each a function of its row's seeds and its column."""
    pairs = torch.tensor(seeds, dtype=torch.int32, device=device)  # [R, 2]
    column = torch.arange(count, dtype=torch.int32, device=device)
    bits = _mixed(_mixed(column ^ pairs[:, :1]) + pairs[:, 1:])  # [R, count]
    # 31 bits, in (0, 1): exact near 0, where the winners of a race lie.
    uniform = ((bits & 0x7FFFFFFF).float() + 0.5) / 2**31
    return torch.log1p(-uniform).neg_().clamp_(max=32.0)  # near 1 it would be infinite


def _mixed(bits: Tensor) -> Tensor:
    """A bijective mix of 32 bits: "lowbias32" of Chris Wellons' hash-prospector. int32 wraps as unsigned does."""
    bits = bits ^ ((bits >> 16) & 0xFFFF)
    bits *= 0x7FEB352D
    bits ^= (bits >> 15) & 0x1FFFF
    bits *= 0x846CA68B - 2**32
    return bits.bitwise_xor_((bits >> 16) & 0xFFFF)


def penalise(scores: Tensor, history: Tensor, penalty: float) -> None:
    """Make tokens that already occurred less likely (CTRL, arXiv 1909.05858), in place.

    scores: [R, V]. history: token ids [R, t]. penalty: positive scores are divided by it, negative ones multiplied.
    """
    used = scores.gather(1, history)  # [R, t]
    scores.scatter_(1, history, torch.where(used < 0, used * penalty, used / penalty))


def repeating(tokens: Sequence[int], size: int) -> set[int]:
    """The tokens that would make a run of `size` tokens occur twice; none if `size` is 0."""
    if not size or len(tokens) < size:
        return set()
    tail = list(tokens[len(tokens) - size + 1 :])
    runs = (tokens[start : start + size] for start in range(len(tokens) - size + 1))
    return {run[-1] for run in runs if list(run[:-1]) == tail}


def forbid(scores: Tensor, pairs: Sequence[tuple[int, int]], end: int) -> None:
    """Exclude tokens, given as (row, token id), in place; a row with no token left can only end."""
    if pairs:
        rows, tokens = torch.tensor(pairs, dtype=torch.long, device=scores.device).unbind(1)
        scores[rows, tokens] = _NEVER
        lost = scores.amax(dim=-1) == _NEVER
        scores[lost, end] = 0.0
