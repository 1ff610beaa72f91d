"""What is done of a run: one part file a shard, and a stats file that is written last.

    RUN/parts/00007.jsonl        the records of shard 7, one a line
    RUN/parts/00007.stats.json   marks shard 7 as done: its captions are where they belong
    RUN/parts/00007.known.jsonl  records of some of its items, carried over from an earlier plan; see renewal.py

Part and stats are written aside and renamed. Between the two, captions go where they belong (beside the pictures, say).
So whenever a process is killed: without a part file the shard is captioned again; with a part file and no stats its
captions are delivered again, from the part, which is the same text; with stats there is nothing left to do.
The rule of the stats file is img2dataset's (github.com/rom1504/img2dataset).
"""

from __future__ import annotations

import json
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import suppress
from itertools import groupby
from pathlib import Path
from typing import Any

from ...files import write_whole
from ..records import Record
from .plan import Plan, Shard

STATUSES = ("done", "kept", "failed")

Placed = tuple[Shard, Record]
"""A record and the shard whose part it stands in."""


class Parts:
    """The parts of a run on disk."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder

    def is_written(self, shard: Shard) -> bool:
        """Whether the shard is captioned; its captions may not be delivered yet."""
        return self._part(shard.number).exists()

    def written(self, plan: Plan) -> list[Shard]:
        """The shards of a plan that are captioned, in order; looks at the folder once."""
        names = self._names()
        return [shard for shard in plan.shards if self._part(shard.number).name in names]

    def done(self, plan: Plan) -> list[Shard]:
        """The shards of a plan of which nothing is left to do, in order; looks at the folder once."""
        names = self._names()
        return [shard for shard in plan.shards if self._stats(shard.number).name in names]

    def write(self, shard: Shard, records: Sequence[Record]) -> None:
        """Keep the records of a shard, one for each of its items. Raises OSError."""
        if len(records) != shard.count:
            raise AssertionError(f"shard {shard.number} has {shard.count} items, not {len(records)}")
        self.folder.mkdir(parents=True, exist_ok=True)
        write_whole(self._part(shard.number), b"".join(map(line, records)))

    def finish(self, shard: Shard, records: Sequence[Record], **facts: Any) -> None:
        """Mark a shard as done, with counts of its records. Raises OSError."""
        stats = {"pictures": shard.count, "counts": counted(records), **facts}
        write_whole(self._stats(shard.number), json.dumps(stats, indent=1).encode())

    def read(self, shard: Shard, wanted: Callable[[Mapping[str, Any]], bool] = lambda fields: True) -> list[Record]:
        """The records of a shard that is written; those whose fields, as JSON holds them, are `wanted`."""
        lines = map(json.loads, self._part(shard.number).read_text(encoding="ascii").splitlines())
        return [Record.from_dict(fields) for fields in lines if wanted(fields)]

    def keep(self, shard: Shard, records: Sequence[Record]) -> None:
        """Keep the records of some of a shard's items until the others have theirs. Raises OSError."""
        self.folder.mkdir(parents=True, exist_ok=True)
        write_whole(self._known(shard.number), b"".join(map(line, records)))

    def known(self, shard: Shard) -> dict[tuple[int, str], Record]:
        """The records that were kept for a shard, by name."""
        try:
            lines = self._known(shard.number).read_text(encoding="ascii").splitlines()
        except FileNotFoundError:
            return {}
        records = map(Record.from_dict, map(json.loads, lines))
        return {record.name: record for record in records}

    def located(self, shard: Shard) -> Iterator[tuple[int, Record]]:
        """All records that there are of a shard, written or kept, with what `at` finds them by."""
        with suppress(FileNotFoundError), open(self._records(shard.number), "rb") as file:
            offset = 0
            for each in file:
                yield offset, Record.from_dict(json.loads(each))
                offset += len(each)

    def at(self, number: int, offset: int) -> Record:
        """The record of a shard, by its number, that was located there."""
        with open(self._records(number), "rb") as file:
            file.seek(offset)
            return Record.from_dict(json.loads(file.readline()))

    def done_at(self, shard: Shard) -> float:
        """When a shard was done, in seconds as `time.time` counts."""
        return self._stats(shard.number).stat().st_mtime

    def counts(self, shards: Iterable[Shard]) -> dict[str, int]:
        """Pictures by status in shards that are done; one that was tried again counts by its last try."""
        total = dict.fromkeys(STATUSES, 0)
        for shard in shards:
            for status, count in self._counts(shard).items():
                total[status] += count
            total["failed"] -= shard.count if shard.again else 0
        return total

    def failures(self, shard: Shard) -> int:
        """How many pictures of a shard that is done failed in it."""
        return self._counts(shard)["failed"]

    def records(self, shards: Sequence[Shard]) -> Iterator[Record]:
        """The last word on every item of these shards, in the order of the plan."""
        return (record for _, record in self.placed(shards))

    def failed(self, shards: Sequence[Shard]) -> Iterator[Record]:
        """Those of `records` that failed; reads only the shards that have some, which are to be done."""
        some = [shard for shard in shards if shard.again or self.failures(shard)]
        return (record for record in self.records(some) if record.status == "failed")

    def placed(self, shards: Sequence[Shard]) -> Iterator[Placed]:
        """As `records`, each with its shard; a few shards in memory at a time, however many there are."""
        again = [shard for shard in shards if shard.again]
        later = [_Later(self._each(list(own))) for _, own in groupby(again, key=lambda shard: shard.file)]
        for placed in self._each(shard for shard in shards if not shard.again):
            for tries in later:
                placed = tries.instead_of(placed)
            yield placed

    def _each(self, shards: Iterable[Shard]) -> Iterator[Placed]:
        for shard in shards:
            for record in self.read(shard):
                yield shard, record

    def _counts(self, shard: Shard) -> Mapping[str, int]:
        counts: dict[str, int] = json.loads(self._stats(shard.number).read_bytes())["counts"]
        return counts

    def _names(self) -> set[str]:
        try:
            return {path.name for path in self.folder.iterdir()}
        except FileNotFoundError:
            return set()

    def _part(self, number: int) -> Path:
        return self.folder / f"{number:05d}.jsonl"

    def _known(self, number: int) -> Path:
        return self.folder / f"{number:05d}.known.jsonl"

    def _records(self, number: int) -> Path:
        part = self._part(number)
        return part if part.exists() else self._known(number)

    def _stats(self, number: int) -> Path:
        return self.folder / f"{number:05d}.stats.json"


class _Later:
    """The records of one file of items that were tried again: some of those before it, in the same order."""

    def __init__(self, records: Iterator[Placed]) -> None:
        self._records = records
        self._next = next(records, None)

    def instead_of(self, placed: Placed) -> Placed:
        """The later record of the same item, if the next one is."""
        if self._next is None or self._next[1].name != placed[1].name:
            return placed
        found, self._next = self._next, next(self._records, None)
        return found


def line(record: Record) -> bytes:
    """A record as one line of JSON in ASCII."""
    return json.dumps(record.as_dict(), ensure_ascii=True, separators=(",", ":")).encode("ascii") + b"\n"


def counted(records: Iterable[Record]) -> dict[str, int]:
    """How many records there are of each status."""
    counts = dict.fromkeys(STATUSES, 0)
    for record in records:
        counts[record.status] += 1
    return counts
