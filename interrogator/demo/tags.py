"""The demo tagger's tags, in the manner of a booru, and which of them are true of a creature.

Read with spaces they are words of the captions: `yellow_wings`, `white_background`, `oil_painting`. Loads neither torch
nor Pillow.
"""

from __future__ import annotations

from .attributes import BACKGROUNDS, COLORS, FEATURES, KINDS, MEDIUMS, Creature

NO_FEATURE = "no_feature"

GROUPS: tuple[tuple[str, ...], ...] = (
    KINDS,
    tuple(f"{color}_body" for color in COLORS),
    (*FEATURES, NO_FEATURE),
    tuple(f"{color}_{feature}" for feature in FEATURES for color in COLORS),
    tuple(f"{background}_background" for background in BACKGROUNDS),
    tuple(medium.replace(" ", "_") for medium in MEDIUMS),
)
"""The tags by what they are about. Of each group one is true of a creature; of the colours of features none is true of
a creature without a feature."""

TAGS: tuple[str, ...] = tuple(tag for group in GROUPS for tag in group)
"""Every tag, in the order of the model's outputs."""


def true_tags(truth: Creature) -> list[str]:
    """The tags that are true of a creature, in the order of TAGS."""
    about_feature = [truth.feature, f"{truth.feature_color}_{truth.feature}"] if truth.feature else [NO_FEATURE]
    return [
        truth.kind,
        f"{truth.color}_body",
        *about_feature,
        f"{truth.background}_background",
        truth.medium.replace(" ", "_"),
    ]
