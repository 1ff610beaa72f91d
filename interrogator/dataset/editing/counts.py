"""How often each tag is there in a dataset, counted once for a run: what is edited later counts as it was."""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Iterable, Mapping
from pathlib import Path

from ...files import write_whole
from ...locks import exclusive
from ..text.tags import sections_of, tag_key

_FILE, _LOCK = "tag_counts.json", "tag_counts.lock"
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
    """The counts that a run began with; written down by the first process that asks, for which the others wait.

    Those of what is there once are left out. Raises OSError.
    """
    file = folder / _FILE
    with exclusive(folder / _LOCK, lambda: None):
        if not file.exists():
            counts = {tag: count for tag, count in count_tags(texts).items() if count > 1}
            write_whole(file, json.dumps(counts).encode())
    found: dict[str, int] = json.loads(file.read_bytes())
    return found
