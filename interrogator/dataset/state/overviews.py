"""What holds for how many pictures of a run: counted shard by shard, then settled for good.

    RUN/overview-00000/00007.json  counts of shard 7 in the first plan; see revision.py
    RUN/overview.json              counts of all pictures, and what is common to them

Both are written whole. Counts are sums, so it does not matter which process counts which shard, when, or how often.
What is settled stays, also when pictures are added later: texts that are written then agree with those written before.
"""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from ...files import write_whole
from .plan import Shard


@dataclass(frozen=True)
class RunOverview:
    """What the pictures of a run share.

    Attributes:
        pictures: how many were counted: all that could be read.
        counts: by phrase, for how many of them it holds.
        common: the phrases of nearly all pictures: text, bank, and share of the pictures.
    """

    pictures: int
    counts: dict[str, int] = field(default_factory=dict)
    common: tuple[tuple[str, str, float], ...] = ()

    def as_dict(self) -> dict[str, Any]:
        """As JSON holds it."""
        return {"pictures": self.pictures, "counts": dict(sorted(self.counts.items())), "common": self.common}


class Overviews:
    """The files of one run and one of its revisions."""

    def __init__(self, run: Path, revision: int) -> None:
        self._file = run / "overview.json"
        self._folder = run / f"overview-{revision:05d}"

    def settled(self) -> RunOverview | None:
        """What was settled; None as long as nothing is. Raises OSError, ValueError."""
        try:
            content = json.loads(self._file.read_bytes())
        except FileNotFoundError:
            return None
        common = tuple((str(text), str(bank), float(share)) for text, bank, share in content["common"])
        return RunOverview(int(content["pictures"]), dict(content["counts"]), common)

    def settle(self, overview: RunOverview) -> None:
        """Raises OSError."""
        write_whole(self._file, json.dumps(overview.as_dict()).encode("ascii"))

    def is_counted(self, shard: Shard) -> bool:
        """Whether the counts of a shard are there."""
        return self._path(shard).exists()

    def count(self, shard: Shard, pictures: Iterable[Sequence[str]]) -> None:
        """Keep the counts of a shard, given what holds for each of its pictures. Raises OSError."""
        held = [set(each) for each in pictures]
        counts = Counter(text for each in held for text in each)
        self._folder.mkdir(parents=True, exist_ok=True)
        write_whole(self._path(shard), json.dumps(RunOverview(len(held), counts).as_dict()).encode("ascii"))

    def summed(self, shards: Iterable[Shard]) -> RunOverview:
        """The counts of shards that are all counted."""
        pictures, counts = 0, Counter[str]()
        for shard in shards:
            content = json.loads(self._path(shard).read_bytes())
            pictures += content["pictures"]
            counts.update(content["counts"])
        return RunOverview(pictures, dict(counts))

    def _path(self, shard: Shard) -> Path:
        return self._folder / f"{shard.number:05d}.json"
