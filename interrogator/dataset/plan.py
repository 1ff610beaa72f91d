"""Which pictures a run captions, in which order, and in which shards: written down once, the same for every process.

    RUN/plan/00000.jsonl   one item a line, in the order of the sources
    RUN/plan/00001.jsonl   items that were found later, or are tried again

A file never changes once it has its name. A shard is so many lines in a row of one file, so a shard's number means
the same items for good, whoever works on it and however often the run is taken up again.
"""

from __future__ import annotations

import json
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

from ..errors import RequestError
from ..whole_files import write_whole
from .records import Item

_SUFFIX = ".jsonl"


@dataclass(frozen=True)
class Shard:
    """So many items in a row: what one process works on at a time, and what a crash costs at most.

    Attributes:
        number: from 0, over all files of the plan.
        file: the plan file they stand in.
        start, stop: bytes of that file.
        count: items.
    """

    number: int
    file: Path
    start: int
    stop: int
    count: int

    def items(self) -> list[Item]:
        """The items, read from the plan."""
        with open(self.file, "rb") as file:
            file.seek(self.start)
            lines = file.read(self.stop - self.start).splitlines()
        return [_item(line) for line in lines]


class Plan:
    """The plan of a run on disk.

    Attributes:
        shards: all of them, in order.
    """

    def __init__(self, folder: Path, shard_size: int) -> None:
        """Read the plan in `folder`; an empty one where there is none.

        Args:
            shard_size: items in a shard; the same whenever this plan is read.
        """
        self.folder = folder
        self._shard_size = shard_size
        self.shards: list[Shard] = []
        for file in sorted(folder.glob(f"*{_SUFFIX}")):
            self._cut(file)

    def __len__(self) -> int:
        """How many items there are, those that are tried again counted each time."""
        return sum(shard.count for shard in self.shards)

    def extend(self, items: Iterable[Item]) -> int:
        """Add the items that the plan does not hold yet; returns how many.

        Raises:
            RequestError: two items of one source have one key; a caption could not be told from the other's.
            OSError: the plan cannot be written.
        """
        known = {item.name for item in self.items()}
        fresh: dict[tuple[int, str], Item] = {}
        for item in items:
            if item.name in fresh:
                raise RequestError(f"{item.key} is there twice")
            if item.name not in known:
                fresh[item.name] = item
        return self._add(list(fresh.values()))

    def repeat(self, names: Iterable[tuple[int, str]]) -> int:
        """Plan the items of these names once more, to be tried again; returns how many."""
        wanted = set(names)
        latest = {item.name: item for item in self.items() if item.name in wanted}
        return self._add([latest[name] for name in sorted(latest)])

    def items(self) -> Iterator[Item]:
        """All items, in order."""
        for shard in self.shards:
            yield from shard.items()

    def superseded(self, done: Sequence[Shard]) -> dict[tuple[int, str], int]:
        """For each name that stands in several of the shards `done`: the number of the last one, whose word counts."""
        first: set[tuple[int, str]] = set()
        last: dict[tuple[int, str], int] = {}
        files = {shard.file for shard in done}
        if len(files) < 2:
            return last
        for shard in done:
            for item in shard.items():
                if item.name in first:
                    last[item.name] = shard.number
                first.add(item.name)
        return last

    def _add(self, items: list[Item]) -> int:
        if items:
            self.folder.mkdir(parents=True, exist_ok=True)
            file = self.folder / f"{len(list(self.folder.glob(f'*{_SUFFIX}'))):05d}{_SUFFIX}"
            write_whole(file, b"".join(_line(item) for item in items))
            self._cut(file)
        return len(items)

    def _cut(self, file: Path) -> None:
        """Add the shards of a plan file."""
        start = stop = count = 0
        with open(file, "rb") as lines:
            for line in lines:
                stop, count = stop + len(line), count + 1
                if count == self._shard_size:
                    self.shards.append(Shard(len(self.shards), file, start, stop, count))
                    start, count = stop, 0
        if count:
            self.shards.append(Shard(len(self.shards), file, start, stop, count))


def _line(item: Item) -> bytes:
    # Lone surrogates, which stand for bytes of a file name that are no UTF-8, are escaped and come back as they were.
    fields = [item.key, item.source, item.place, item.size, item.caption, item.trouble]
    return json.dumps(fields, ensure_ascii=True, separators=(",", ":")).encode("ascii") + b"\n"


def _item(line: bytes) -> Item:
    key, source, place, size, caption, trouble = json.loads(line)
    return Item(key, source, tuple(place), size, caption, trouble)
