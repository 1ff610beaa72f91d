"""Tags, words and lengths of the texts of a dataset."""

from __future__ import annotations

from array import array
from collections import Counter
from collections.abc import Callable, Iterable
from dataclasses import asdict, dataclass, field
from typing import Any

from ..text.tags import as_trained, sections_of, tag_key
from ..text.words import split_words
from .counts import bounded

_NAMED = 20
WINDOW = 75
"""Tokens that CLIP reads at once, beside start and end."""


@dataclass
class Statistics:
    """What `statistics_of` counts.

    Attributes:
        pictures, captions, empty, unreadable: how many; captions are the lines of texts, of which one may have several.
        without: names of pictures without a caption, the first of them; `missing` is how many.
        tags, words: the most frequent, with in how many places they stand.
        tokens: least, median, mean and most of a caption; and how many captions have more than 75, which CLIP reads at
            once.
    """

    pictures: int = 0
    captions: int = 0
    missing: int = 0
    empty: int = 0
    unreadable: int = 0
    without: list[str] = field(default_factory=list)
    tags: list[tuple[str, int]] = field(default_factory=list)
    words: list[tuple[str, int]] = field(default_factory=list)
    tokens: dict[str, float] = field(default_factory=dict)

    def as_dict(self) -> dict[str, Any]:
        """The fields as JSON holds them."""
        return asdict(self)


def statistics_of(
    texts: Iterable[tuple[str, str | None, str]], count: Callable[[str], int], top: int = 50
) -> Statistics:
    """Count what is in texts, which are gone through once.

    Args:
        texts: key, text and problem of each picture.
        count: tokens of a caption.
        top: so many tags and words are named.
    """
    found = Statistics()
    tags, words, lengths = Counter[str](), Counter[str](), array("l")
    for key, text, problem in texts:
        found.pictures += 1
        found.unreadable += bool(problem)
        if text is None and not problem:
            found.missing += 1
            found.without += [key] if len(found.without) < _NAMED else []
        lines = [line for line in (text or "").splitlines() if line.strip()]
        found.empty += text is not None and not lines
        found.captions += len(lines)
        for line in lines:
            lengths.append(count(as_trained(line)))
            tags.update(tag_key(tag) for section in sections_of(line) for tag in section)
            words.update(split_words(line))
        tags, words = bounded(tags), bounded(words)
    found.tags, found.words = tags.most_common(top), words.most_common(top)
    if lengths:
        ordered = sorted(lengths)
        found.tokens = {
            "least": ordered[0], "median": ordered[len(ordered) // 2], "mean": sum(ordered) / len(ordered),
            "most": ordered[-1], "over_75": sum(length > WINDOW for length in ordered),
        }  # fmt: skip
    return found
