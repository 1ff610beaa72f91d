"""What is done of a run: one part file a shard, and a stats file that is written last.

    RUN/parts/00007.jsonl        the records of shard 7, one a line
    RUN/parts/00007.stats.json   says that shard 7 is done: its captions stand where they belong

Both are written aside and renamed. Between the two, captions are put where they belong (beside the pictures, say).
So whatever moment a process is killed in: without a part file the shard is captioned again; with a part file and no
stats its captions are put in place again, from the part, which is the same text; with stats nothing is to be done.
The rule of the stats file is img2dataset's (github.com/rom1504/img2dataset).
"""

from __future__ import annotations

import json
from collections.abc import Iterable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

from ..whole_files import write_whole
from .plan import Plan, Shard
from .records import Record


class Parts:
    """The parts of a run on disk."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder

    def is_written(self, shard: Shard) -> bool:
        """Whether the shard is captioned; its captions may not be in place yet."""
        return self._part(shard.number).exists()

    def is_done(self, shard: Shard) -> bool:
        """Whether nothing is left to do for the shard."""
        return self._stats(shard.number).exists()

    def done(self, plan: Plan) -> list[Shard]:
        """The shards of a plan that are done, in order; looks at the folder once."""
        try:
            names = {path.name for path in self.folder.iterdir()}
        except FileNotFoundError:
            return []
        return [shard for shard in plan.shards if self._stats(shard.number).name in names]

    def write(self, shard: Shard, records: Sequence[Record]) -> None:
        """Keep the records of a shard, one for each of its items. Raises OSError."""
        if len(records) != shard.count:
            raise AssertionError(f"shard {shard.number} has {shard.count} items, not {len(records)}")
        self.folder.mkdir(parents=True, exist_ok=True)
        write_whole(self._part(shard.number), b"".join(line(record) for record in records))

    def finish(self, shard: Shard, stats: Mapping[str, Any]) -> None:
        """Say that a shard is done. Raises OSError."""
        write_whole(self._stats(shard.number), json.dumps(dict(stats), indent=1).encode())

    def read(self, shard: Shard) -> list[Record]:
        """The records of a shard that is written."""
        return [Record.from_dict(json.loads(text)) for text in self._part(shard.number).read_bytes().splitlines()]

    def records(self, plan: Plan) -> Iterator[Record]:
        """The last word on every item whose shard is done, in the order of the plan; one shard in memory at a time."""
        done = self.done(plan)
        last = plan.superseded(done)
        for shard in done:
            for record in self.read(shard):
                if last.get(record.name, shard.number) == shard.number:
                    yield record

    def _part(self, number: int) -> Path:
        return self.folder / f"{number:05d}.jsonl"

    def _stats(self, number: int) -> Path:
        return self.folder / f"{number:05d}.stats.json"


def line(record: Record) -> bytes:
    """A record as one line of JSON in ASCII."""
    return json.dumps(record.as_dict(), ensure_ascii=True, separators=(",", ":")).encode("ascii") + b"\n"


def counted(records: Iterable[Record]) -> dict[str, int]:
    """How many records there are of each status."""
    counts = {"done": 0, "kept": 0, "failed": 0}
    for record in records:
        counts[record.status] += 1
    return counts
