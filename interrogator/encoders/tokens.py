"""Counting tokens with any open_clip tokenizer, without naming a context length or a padding id."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import torch
from torch import Tensor

from ..embeddings import TOKENIZER_PROBES, tokenizer_digest


class Tokens:
    """Token ids of texts, their lengths and their number, as one tokenizer has them.

    open_clip has three kinds of tokenizer (its own byte-pair one, Hugging Face's, and Hugging Face's in `clips` mode
    with a class token behind the padding). All are callable with `context_length`, so what this class needs is read
    off their answers.
    """

    def __init__(self, tokenizer: Any, context_length: int) -> None:
        self.tokenizer = tokenizer
        self.context_length = context_length
        # An empty text in 16 places: all but the first few and, in `clips` mode, the last are padding.
        self.pad_id = int(tokenizer([""], context_length=16)[0, -2])
        # CLIPA's tokenizers blank the separator after they have counted it.
        self._blanked = 1 if getattr(tokenizer, "strip_sep_token", False) else 0

    def ids(self, texts: Sequence[str]) -> Tensor:
        """Token ids [N, context_length], int64; what exceeds the context is cut off."""
        return torch.as_tensor(self.tokenizer(list(texts), context_length=self.context_length))

    def lengths(self, ids: Tensor) -> Tensor:
        """How many places of each row of `ids` [N, L] come before the padding at its end: int64 [N]."""
        places = torch.arange(1, ids.shape[1] + 1)  # [L]
        return ((ids != self.pad_id) * places).amax(dim=1)

    def count(self, text: str) -> int:
        """Number of tokens of a text, start and end tokens included, were there no limit."""
        # No tokenizer makes more tokens than a text has bytes; the rest is room for special tokens and padding.
        places = len(text.encode("utf-8")) + 16
        ids = torch.as_tensor(self.tokenizer([text], context_length=places))  # [1, places]
        if int(ids[0, -1]) != self.pad_id:  # a class token behind the padding
            return int(self.lengths(ids[:, :-1])[0]) + 1
        return int(self.lengths(ids)[0]) + self._blanked

    def digest(self) -> str:
        """Differs between tokenizers that read texts differently; see `embeddings.tokenizer_digest`."""
        return tokenizer_digest(self.ids(TOKENIZER_PROBES).tolist())
