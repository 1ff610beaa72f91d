"""From which probability a tag holds."""

from __future__ import annotations

from collections.abc import Iterable

THRESHOLD = 0.35
CHARACTER_THRESHOLD = 0.85
"""What the cards of the WD taggers (huggingface.co/SmilingWolf) take for general tags, and what they advise for the
names of characters, which are wrong more often. For taggers whose files say nothing."""

LEAST_OF_NAMES = 0.15
"""What MCut goes down to for names, of which a picture may show none; for characters so in SmilingWolf's wd-tagger."""


def mcut(probabilities: Iterable[float]) -> float | None:
    """The threshold in the middle of the widest gap between neighbouring probabilities; None for fewer than two.

    Maximum Cut: Largeron, Moulin, Géry 2012, "MCut: A Thresholding Strategy for Multi-label Classification". Of equal
    gaps the one between the highest probabilities counts.
    """
    falling = sorted(probabilities, reverse=True)
    if len(falling) < 2:
        return None
    gaps = [upper - lower for upper, lower in zip(falling, falling[1:], strict=False)]
    widest = gaps.index(max(gaps))
    return (falling[widest] + falling[widest + 1]) / 2
