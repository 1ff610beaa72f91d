"""Who computed a row: an encoder is known by what it answers, not by what it is called."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Sequence
from dataclasses import dataclass

import torch
from torch import Tensor

from ..errors import ModelError

# Changing either tuple makes every store on every disk foreign: add to them only together with a new format version.
PROBE_PHRASES: tuple[str, ...] = (
    "",
    "cat",
    "oil on canvas",
    "by Claude Monet",
    "1990s, 35mm film",
    "a detailed painting of a lighthouse",
    "trending on artstation, soft light & long shadows",
    "a photograph of two old friends who share one umbrella on a rainy street in the evening",
)
TOKENIZER_PROBES: tuple[str, ...] = (
    *PROBE_PHRASES,
    "Art Nouveau",
    "art nouveau",
    "ART NOUVEAU",
    "café, Dürer, Łódź, ñandú",
    "8k 4 k 2.5d 1:64",
    "rock & roll &amp; blues",
    "it's the artist's  \t own",
    "浮世絵",
    "\U0001f3a8 \U0001f468\u200d\U0001f3a8",
)

# Two fp32 runs of the same weights differ by about 1e-6 from machine to machine; GELU in place of QuickGELU moves
# unit rows by more than 1e-3 even in random towers. 3e-4 lies well between.
PROBE_TOLERANCE = 3e-4
_UNIT_TOLERANCE = 1e-2


@dataclass(frozen=True, eq=False)
class EncoderIdentity:
    """What a store remembers of the encoder that filled it.

    name:      "ViT-L-14/openai"; for people and folder names only, never compared
    dtype:     "float32", "bfloat16" or "float16": what the rows are computed in
    tokenizer: digest of the token ids of `TOKENIZER_PROBES`, see `tokenizer_digest`
    probes:    [P, D] float32 unit rows: the encoder's fp32 answers to `PROBE_PHRASES`

    Raises ModelError when the probes are not finite unit rows: such an encoder is broken.
    """

    name: str
    dtype: str
    tokenizer: str
    probes: Tensor

    def __post_init__(self) -> None:
        probes = self.probes.detach().to("cpu").contiguous()
        if probes.ndim != 2 or probes.dtype != torch.float32 or 0 in probes.shape:
            raise ModelError(f"{self.name}: probe rows must be float32 [P, D], not {probes.dtype} {list(probes.shape)}")
        if not bool(((probes.norm(dim=-1) - 1).abs() < _UNIT_TOLERANCE).all()):  # NaN fails as well
            raise ModelError(f"{self.name}: the text encoder's answers are not finite unit rows")
        object.__setattr__(self, "probes", probes)

    @property
    def width(self) -> int:
        """D, the length of a row."""
        return int(self.probes.shape[1])

    def difference(self, probes: Tensor) -> float:
        """The largest difference to other probe rows [P, D] float32; infinite where the shapes differ."""
        if probes.shape != self.probes.shape:
            return float("inf")
        return float((probes - self.probes).abs().max())


def tokenizer_digest(token_ids: Sequence[Sequence[int]]) -> str:
    """32 hex characters that stand for a tokenizer: a digest of its ids for the texts of `TOKENIZER_PROBES`."""
    plain = json.dumps([[int(token) for token in ids] for ids in token_ids])
    return hashlib.blake2b(plain.encode(), digest_size=16).hexdigest()
