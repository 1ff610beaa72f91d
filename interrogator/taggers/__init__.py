"""Taggers say which words of a fixed vocabulary are true of an image.

rules       TagRules: which of them are taken, and how they read
selection   the tags that hold for an image
thresholds  from which probability a tag holds; MCut
wording     underscores, kaomoji, patterns of tags
"""

from .rules import DEFAULT_RULES, LABELS, SINGLE, TagRules
from .selection import join_tags, label_tags, select_tags
from .thresholds import CHARACTER_THRESHOLD, THRESHOLD

__all__ = [
    "CHARACTER_THRESHOLD",
    "DEFAULT_RULES",
    "LABELS",
    "SINGLE",
    "THRESHOLD",
    "TagRules",
    "join_tags",
    "label_tags",
    "select_tags",
]
