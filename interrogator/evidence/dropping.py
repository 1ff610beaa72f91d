"""Leaving claims out of a caption, with the words that tie them to the rest."""

from __future__ import annotations

import re
from collections.abc import Sequence

from .checking import Claim

# The end of an emphasis, as in `(word:1.2)`.
_EMPHASIS_END = re.compile(r"\s*(?::\s*[+-]?\d*\.?\d+\s*)?[)\]}]+")
_SENTENCE_END = re.compile(r"[.!?。！？\n]")


def without_claims(caption: str, claims: Sequence[Claim], verdict: str = "unsupported") -> str:
    """A caption without the claims of a verdict; "" where no other claim is left.

    A claim goes with what joins it to the one before: `a cat with a hat and a tie` without the hat is `a cat and a
    tie`. The first claim of a sentence goes with what joins it to the next one.

    Args:
        claims: all claims of the caption, in order.
    """
    if not any(claim.verdict == verdict for claim in claims):
        return caption
    if all(claim.verdict == verdict for claim in claims):
        return ""
    cuts: list[tuple[int, int]] = []
    end = 0  # of the last claim that stays
    is_first = True  # whether no claim of this sentence stays so far
    for number, claim in enumerate(claims):
        start, stop = _with_emphasis(caption, *claim.span, claims[number - 1].span[1] if number else 0)
        if number and _SENTENCE_END.search(caption, claims[number - 1].span[1], start):
            is_first = True
        if claim.verdict != verdict:
            end, is_first = stop, False
            continue
        following = claims[number + 1].span[0] if number + 1 < len(claims) else len(caption)
        goes_on = number + 1 < len(claims) and not _SENTENCE_END.search(caption, stop, following)
        cuts.append((start, following) if is_first and goes_on else (end, stop))
    text = caption
    for start, stop in reversed(cuts):
        rest = text[stop:]
        begins = text[start:stop].lstrip()[:1].isupper() and text[start:stop][:1].isalnum()
        text = text[:start] + (rest[:1].upper() + rest[1:] if begins else rest)
    return text.lstrip(" ,;.\n").rstrip(" ,;")


def _with_emphasis(caption: str, start: int, stop: int, before: int) -> tuple[int, int]:
    """A span with the brackets and the weight around it, where it fills them; `before` is where the last claim ends."""
    opened = len(caption[before:start]) - len(caption[before:start].rstrip("([{ "))
    closed = _EMPHASIS_END.match(caption, stop)
    if closed is None or not caption[start - opened : start].strip():
        return start, stop
    return start - opened, closed.end()
