"""TagRules: which of a tagger's tags hold, and how they read."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field

from ..errors import RequestError

SINGLE = ("rating", "quality")
"""Categories of which the most probable tag holds, whatever its probability, and no other."""

LABELS = frozenset({*SINGLE, "artist", "meta", "model", "year"})
"""Categories that say who made a picture and how it is filed, not what it shows; left out unless they are asked for."""


@dataclass(frozen=True)
class TagRules:
    """Which of a tagger's tags hold, and how they read.

    A tag holds if it is more probable than its threshold, which is the first of these that there is: that of its
    category in `category_thresholds`, `character_threshold` for characters or `threshold` for all others, the one that
    MCut finds, the model's own for this tag, and .85 for characters or .35.

    Attributes:
        threshold: 0 to 1, for all tags but characters; None is the model's own.
        character_threshold: the same for the names of characters.
        category_thresholds: by category, such as {"copyright": 0.6}.
        mcut: find the threshold of each category in the picture itself: the widest gap between its probabilities.
        max_tags: tags at most, the most probable ones; ratings do not count. None is no limit.
        categories: take only these; () takes all but `LABELS`. Of a rating or quality the most probable tag holds.
        ratings: take `SINGLE`, rating and quality, as well.
        block: tags to leave out; `*` stands for any text, case does not count, and an underscore is a space.
        keep_underscores: leave tags as the vocabulary has them; otherwise they get spaces, except in kaomoji.
        escape: put a backslash before brackets, which ComfyUI and A1111 read as weights.
        character_first: begin with characters and where they are from; otherwise the most probable tag is first.
    """

    threshold: float | None = None
    character_threshold: float | None = None
    category_thresholds: Mapping[str, float] = field(default_factory=dict)
    mcut: bool = False
    max_tags: int | None = None
    categories: tuple[str, ...] = ()
    ratings: bool = False
    block: tuple[str, ...] = ()
    keep_underscores: bool = False
    escape: bool = False
    character_first: bool = True

    def __post_init__(self) -> None:
        """Raises RequestError: a number out of range, an empty pattern, or a text where several are meant."""
        for name in ("categories", "block"):
            if isinstance(getattr(self, name), str):
                raise RequestError(f"{name} must be a list of texts, not {getattr(self, name)!r}")
            object.__setattr__(self, name, tuple(getattr(self, name)))
        object.__setattr__(self, "category_thresholds", dict(self.category_thresholds))
        thresholds = {"threshold": self.threshold, "character_threshold": self.character_threshold}
        thresholds |= {f"the threshold of {name}": value for name, value in self.category_thresholds.items()}
        for name, value in thresholds.items():
            if value is not None and not 0 <= value <= 1:
                raise RequestError(f"{name} must be from 0 to 1, not {value}")
        if self.max_tags is not None and self.max_tags < 1:
            raise RequestError(f"max_tags must be at least 1, not {self.max_tags}")
        if not all(pattern.strip() for pattern in self.block):
            raise RequestError("a pattern of tags to block must not be empty")

    def __hash__(self) -> int:
        return hash((self.threshold, self.character_threshold, self.max_tags, self.categories, self.block))

    def takes(self, category: str) -> bool:
        """Whether tags of a category are taken at all."""
        if self.ratings and category in SINGLE:
            return True
        return category in self.categories if self.categories else category not in LABELS

    def given_threshold(self, category: str) -> float | None:
        """The threshold that these rules themselves set for a category; None where they leave it open."""
        general = self.character_threshold if category == "character" else self.threshold
        return self.category_thresholds.get(category, general)


DEFAULT_RULES = TagRules()
