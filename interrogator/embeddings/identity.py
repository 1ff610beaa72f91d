"""Identity of an encoder: it is recognised by its outputs, not by its name."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Sequence
from dataclasses import dataclass

import torch
from torch import Tensor

from ..errors import ModelError

# Changing either tuple invalidates every store on every disk: change them only together with the format version.
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

# fp32 outputs of the same weights differ by about 1e-6 between machines; GELU instead of QuickGELU changes unit rows by
# more than 1e-3 even in random towers. 3e-4 lies well between.
PROBE_TOLERANCE = 3e-4
_UNIT_TOLERANCE = 1e-2


@dataclass(frozen=True, eq=False)
class EncoderIdentity:
    """What identifies the encoder that filled a store.

    name:      such as "ViT-L-14/openai"; for display and folder names only, never compared
    dtype:     "float32", "bfloat16" or "float16": the dtype in which rows are computed
    tokenizer: digest of the token ids of `TOKENIZER_PROBES`, see `tokenizer_digest`
    probes:    [P, D] float32 unit rows: the encoder's fp32 embeddings of `PROBE_PHRASES`

    Raises ModelError if the probes are not finite unit rows: such an encoder is broken.
    """

    name: str
    dtype: str
    tokenizer: str
    probes: Tensor

    def __post_init__(self) -> None:
        probes = self.probes.detach().to("cpu").contiguous()
        if probes.ndim != 2 or probes.dtype != torch.float32 or 0 in probes.shape:
            raise ModelError(f"{self.name}: probe rows must be float32 [P, D], got {probes.dtype} {list(probes.shape)}")
        if not bool(((probes.norm(dim=-1) - 1).abs() < _UNIT_TOLERANCE).all()):  # NaN fails as well
            raise ModelError(f"{self.name}: text embeddings are not finite vectors of unit length")
        object.__setattr__(self, "probes", probes)

    @property
    def width(self) -> int:
        """D, the length of a row."""
        return int(self.probes.shape[1])

    def difference(self, probes: Tensor) -> float:
        """The largest absolute difference from other probe rows [P, D] float32; infinite if the shapes differ."""
        if probes.shape != self.probes.shape:
            return float("inf")
        return float((probes - self.probes).abs().max())


def tokenizer_digest(token_ids: Sequence[Sequence[int]]) -> str:
    """32 hex characters that identify a tokenizer: a digest of its ids for `TOKENIZER_PROBES`."""
    plain = json.dumps([[int(token) for token in ids] for ids in token_ids])
    return hashlib.blake2b(plain.encode(), digest_size=16).hexdigest()
