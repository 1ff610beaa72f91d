"""How often each tag is there in a dataset, counted once for a run: what is edited later counts as it was."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Mapping
from pathlib import Path

from ..text.tags import sections_of, tag_key
from .run_facts import fact_of_run

_MOST = 1_000_000
"""So many different tags or words are kept; of more, those that were there once are forgotten now and then."""


def count_tags(texts: Iterable[str]) -> Counter[str]:
    """By `tag_key`, in how many places a tag stands."""
    counts: Counter[str] = Counter()
    for text in texts:
        for line in text.splitlines():
            counts.update(tag_key(tag) for tags in sections_of(line) for tag in tags)
        counts = bounded(counts)
    return counts


def bounded(counts: Counter[str]) -> Counter[str]:
    """The counts, without what was there once if they are of too many different things to keep."""
    if len(counts) <= _MOST:
        return counts
    return Counter({each: count for each, count in counts.items() if count > 1})


def counts_of_run(folder: Path, texts: Iterable[str]) -> Mapping[str, int]:
    """The counts that a run began with, without those of what is there once; see `fact_of_run`. Raises OSError."""

    def repeated() -> dict[str, int]:
        return {tag: count for tag, count in count_tags(texts).items() if count > 1}

    return fact_of_run(folder, "tag_counts", repeated)
