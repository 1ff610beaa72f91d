"""Precision and recall of every tag of the demo tagger, through the public loader."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

from ..registry import load_tagger
from ..taggers import TagRules, select_tags
from .attributes import Creature
from .tags import TAGS, true_tags

if TYPE_CHECKING:
    from PIL import Image


@dataclass(frozen=True)
class TagFigures:
    """In how many pictures one tag is true, in how many the tagger holds it, and in how many both."""

    tag: str
    true: int
    held: int
    right: int

    @property
    def precision(self) -> float:
        """The share of the pictures with this tag of which it is true; 1 where it never holds."""
        return self.right / self.held if self.held else 1.0

    @property
    def recall(self) -> float:
        """The share of the pictures of which it is true that have this tag; 1 where it is never true."""
        return self.right / self.true if self.true else 1.0


def tag_pictures(images: Sequence[Image.Image]) -> list[list[str]]:
    """The tags that hold for each picture, at the thresholds that everybody gets."""
    tagger = load_tagger("demo", device="cpu")
    found = tagger.tag([tagger.prepare(image) for image in images], None)
    rules = TagRules(keep_underscores=True)
    return [[tag.text for tag in select_tags(tags, rules)] for tags in found]


def figures_by_tag(found: Iterable[Sequence[str]], truths: Iterable[Creature]) -> list[TagFigures]:
    """The figures of every tag, in the order of TAGS."""
    true, held, right = (dict.fromkeys(TAGS, 0) for _ in range(3))
    for tags, truth in zip(found, truths, strict=True):
        expected = true_tags(truth)
        for counts, each in ((true, expected), (held, tags), (right, set(expected) & set(tags))):
            for tag in each:
                counts[tag] += 1
    return [TagFigures(tag, true[tag], held[tag], right[tag]) for tag in TAGS]
