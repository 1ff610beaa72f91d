"""Counting tokens as CLIP does, which is what trainers of Stable Diffusion count."""

from __future__ import annotations

from functools import cache
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from ..encoders.tokens import Tokens

TOKEN_LIMIT = 75
"""What a trainer reads of a caption: CLIP's context less start and end."""


def count_tokens(text: str) -> int:
    """Tokens of a text, start and end not counted; the tokenizer is loaded at the first text."""
    return _tokens().count(text) - 2


@cache
def _tokens() -> Tokens:
    import open_clip  # only now: a run that has nothing left to do counts nothing

    from ..encoders.tokens import Tokens

    return Tokens(open_clip.get_tokenizer("ViT-L-14"), TOKEN_LIMIT + 2)
