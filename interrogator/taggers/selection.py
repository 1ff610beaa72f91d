"""Which of a tagger's tags hold: a threshold for each category."""

from __future__ import annotations

from collections.abc import Iterable

from ..models import Tag

THRESHOLD = 0.35
CHARACTER_THRESHOLD = 0.85
"""What the cards of the WD taggers (huggingface.co/SmilingWolf) take for general tags, and what they advise for the
names of characters, which are wrong more often."""

_NOT_ABOUT_THE_IMAGE = "rating"


def select_tags(
    tags: Iterable[Tag], threshold: float = THRESHOLD, character_threshold: float = CHARACTER_THRESHOLD
) -> list[Tag]:
    """The tags at least as probable as the threshold of their category, the most probable first; ratings are left out.

    Of equal probabilities the earlier tag of the vocabulary comes first.
    """
    limits = {"character": character_threshold}
    held = [
        tag
        for tag in tags
        if tag.category != _NOT_ABOUT_THE_IMAGE and tag.probability >= limits.get(tag.category, threshold)
    ]
    return sorted(held, key=lambda tag: -tag.probability)
