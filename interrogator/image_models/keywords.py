"""Phrases or tags in a row, as many as fit, with weights if asked for."""

from __future__ import annotations

from collections.abc import Callable, Sequence

from ..prompts import count_that_fit, escape_brackets, join
from .words import Word


def keywords(
    head: str, words: Sequence[Word], fits: Callable[[str], bool], *, weights: bool = False, escape: bool = False
) -> str:
    """`head` and as many of `words`, in order, as fit, separated by commas.

    Args:
        head: fits.
        fits: asked of plain text, since neither weights nor backslashes reach an encoder.
        weights: raise the stronger words: the strongest third is `(word:1.2)`, the next `(word:1.1)`. ComfyUI and A1111
            multiply what an encoder makes of a word by that.
        escape: put a backslash before brackets.
    """
    kept = words[: count_that_fit(head, [word.text for word in words], fits)]
    written = escape_brackets if escape else str
    factors = _factors([word.strength for word in kept]) if weights else [1.0] * len(kept)
    pieces = zip([written(word.text) for word in kept], factors, strict=True)
    return join(written(head), *(f"({text}:{factor:.1f})" if factor > 1 else text for text, factor in pieces))


def _factors(strengths: Sequence[float]) -> list[float]:
    """1.2, 1.1 and 1 for a third each, the strongest first; equal ones are weighted alike, one alone is not raised."""
    weaker = [sum(other < strength for other in strengths) for strength in strengths]
    return [1 + 3 * count // len(strengths) / 10 for count in weaker]
