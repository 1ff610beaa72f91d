"""Counting tokens of captions."""

from __future__ import annotations

from collections.abc import Callable
from functools import cache


def count_tokens(text: str) -> int:
    """Tokens of a text as CLIP counts them, which is what trainers of Stable Diffusion count; less start and end."""
    return _counter()(text) - 2


@cache
def _counter() -> Callable[[str], int]:
    # Only at the first text: both bring in torch.
    import open_clip

    from ...encoders.tokens import Tokens

    return Tokens(open_clip.get_tokenizer("ViT-L-14"), 77).count
