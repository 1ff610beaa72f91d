"""Which pictures a run captions, in which order, and in which shards: written down once, the same for every process.

    RUN/plan/00000.jsonl   one item a line, in the order of the sources; the first line says what the file is
    RUN/plan/00001.jsonl   items that were found later, or those that failed and are tried again

A file never changes once it has its name, and of two processes that write one at once the first gives it. A shard is so
many lines in a row of one file, so a shard's number means the same items for good, whoever works on it and however
often the run is taken up again.
"""

from __future__ import annotations

import errno
import hashlib
import json
import os
from collections.abc import Callable, Iterable, Iterator, Mapping
from contextlib import suppress
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from ...errors import RequestError
from ...files import sync_folder, temp_path
from ..records import Item, Record

_SUFFIX = ".jsonl"
# What file systems answer that have no hard links.
_NO_LINKS = frozenset({errno.EPERM, errno.ENOTSUP, errno.EOPNOTSUPP, errno.ENOSYS, errno.EMLINK, errno.EINVAL})


@dataclass(frozen=True)
class Shard:
    """So many items in a row: what one process works on at a time, and what a crash costs at most.

    Attributes:
        number: from 0, over all files of the plan.
        file: the plan file they stand in.
        start, stop: bytes of that file.
        count: items.
        again: whether they were all planned before, and failed.
        planned_at: when the file was written, in nanoseconds.
    """

    number: int
    file: Path
    start: int
    stop: int
    count: int
    again: bool
    planned_at: int = 0

    def items(self) -> list[Item]:
        """The items, read from the plan."""
        with open(self.file, "rb") as file:
            file.seek(self.start)
            lines = file.read(self.stop - self.start).decode("ascii").splitlines()
        return [_item(line) for line in lines]


class Plan:
    """The plan of a run on disk.

    Attributes:
        shards: all of them, in order.
        shard_size: items in a shard.
    """

    def __init__(self, folder: Path, shard_size: int) -> None:
        """Read the plan in `folder`; an empty one where there is none.

        Args:
            shard_size: items in a shard; the same whenever this plan is read.
        """
        self.folder = folder
        self.shard_size = shard_size
        self._files: list[Path] = []
        self.shards: list[Shard] = []
        self._read()

    def __len__(self) -> int:
        """How many items there are; those that are tried again count once."""
        return sum(shard.count for shard in self.shards if not shard.again)

    def extend(
        self, items: Iterable[Item], caption_file: Callable[[Item], str] = lambda item: "", earlier: Plan | None = None,
        unless: Callable[[], bool] = lambda: False,
    ) -> None:  # fmt: skip
        """Add the items that the plan does not hold yet.

        Args:
            caption_file: the path of an item's caption file, "" where it cannot collide with another's. Of two items
                with one file the second is planned with that as its problem.
            earlier: the plan that this one replaces; its items keep their caption files.
            unless: asked when all items are taken; adds nothing if so.

        Raises:
            RequestError: two items of one source have one key.
            OSError: the plan cannot be written.
        """
        self._add(self._with_caption_files(self._fresh(items), caption_file, earlier), False, unless)

    def repeat(
        self,
        names: Iterable[tuple[int, str]],
        items: Iterable[Item],
        caption_file: Callable[[Item], str] = lambda item: "",
    ) -> None:
        """Plan the items of these names once more, to be tried again.

        Args:
            items: as the sources have them now: what was in the way of one may be gone.
            caption_file: as in `extend`.

        Raises OSError.
        """
        wanted = set(names)
        now = {item.name: item for item in items if item.name in wanted}
        self._add(self._tried_again(wanted, now, caption_file), True)

    def items(self) -> Iterator[Item]:
        """All items, in order, each once."""
        for shard in self.shards:
            if not shard.again:
                yield from shard.items()

    def _fresh(self, items: Iterable[Item]) -> Iterator[Item]:
        """Those of the items that are not planned."""
        planned = set(map(mark, self.items()))
        taken: set[bytes] = set()
        for item in items:
            name = mark(item)
            if name in planned:
                continue
            if name in taken:
                raise RequestError(f"the source lists {item.key} twice")
            taken.add(name)
            yield item

    def _with_caption_files(
        self, fresh: Iterable[Item], caption_file: Callable[[Item], str], earlier: Plan | None
    ) -> Iterator[Item]:
        """The same; those whose caption file belongs to another item, planned or not, with that as its problem."""
        taken: set[bytes] | None = None
        owners = set() if earlier is None else {mark(item) for item in earlier.items() if not item.problem}
        for item in fresh:
            if taken is None:
                taken = (earlier or self)._taken(caption_file)
            yield item if mark(item) in owners else _claimed(item, taken, caption_file)

    def _tried_again(
        self, wanted: set[tuple[int, str]], now: Mapping[tuple[int, str], Item], caption_file: Callable[[Item], str]
    ) -> Iterator[Item]:
        taken = self._taken(caption_file) if wanted else set()
        for item in self.items():
            if item.name in wanted:
                found = now.get(item.name, item)
                # One without problem has its file already.
                yield _claimed(found, taken, caption_file) if item.problem else found

    def _taken(self, caption_file: Callable[[Item], str]) -> set[bytes]:
        return {_digest(caption_file(item)) for item in self.items() if not item.problem}

    def _add(self, items: Iterator[Item], again: bool, unless: Callable[[], bool] = lambda: False) -> None:
        """Write a file of items, if there are any. If another process was faster, its file counts, not this one."""
        first = next(items, None)
        if first is None:
            return
        self.folder.mkdir(parents=True, exist_ok=True)
        aside = temp_path(self.folder)
        try:
            with open(aside, "xb") as file:
                file.write(json.dumps({"again": again}).encode() + b"\n" + _line(first))
                file.writelines(map(_line, items))
                file.flush()
                os.fsync(file.fileno())
            if not unless():
                self._name(aside)
        finally:
            with suppress(OSError):
                aside.unlink()
        self._read()

    def _name(self, aside: Path) -> None:
        """Give a file the next number, unless another has it by now."""
        name = self.folder / f"{len(self._files):05d}{_SUFFIX}"
        try:
            os.link(aside, name)
        except FileExistsError:
            return
        except OSError as error:
            if error.errno not in _NO_LINKS:
                raise
            if not name.exists():
                os.replace(aside, name)
        sync_folder(self.folder)

    def _read(self) -> None:
        """Cut the files into shards that are there and were not read yet."""
        for file in sorted(self.folder.glob(f"*{_SUFFIX}")):
            if file not in self._files:
                self._files.append(file)
                self._cut(file)

    def _cut(self, file: Path) -> None:
        """Add the shards of a plan file."""
        count = 0
        with open(file, "rb") as lines:
            planned_at = os.fstat(lines.fileno()).st_mtime_ns
            head = lines.readline()
            again = bool(json.loads(head)["again"])
            start = stop = len(head)
            for line in lines:
                stop, count = stop + len(line), count + 1
                if count == self.shard_size:
                    self.shards.append(Shard(len(self.shards), file, start, stop, count, again, planned_at))
                    start, count = stop, 0
        if count:
            self.shards.append(Shard(len(self.shards), file, start, stop, count, again, planned_at))


def mark(item: Item | Record) -> bytes:
    """Sixteen bytes that stand for the name of an item or its record: sets of millions are small."""
    return _digest(f"{item.source}/{item.key}")


def _digest(text: str) -> bytes:
    return hashlib.blake2b(text.encode("utf-8", "surrogatepass"), digest_size=16).digest()


def _claimed(item: Item, taken: set[bytes], caption_file: Callable[[Item], str]) -> Item:
    """The item, whose caption file is taken from now on; with a problem if it was taken already."""
    file = "" if item.problem else caption_file(item)
    if file and _digest(file) in taken:
        return replace(item, problem="another picture has the same caption file")
    if file:
        taken.add(_digest(file))
    return item


def _line(item: Item) -> bytes:
    # Lone surrogates, which stand for bytes of a file name that are no UTF-8, are escaped and come back as they were.
    fields = _fields(item)
    if item.captions or item.mask is not None:
        fields.append(item.captions)
    if item.mask is not None:
        fields.append(_fields(item.mask))
    return json.dumps(fields, ensure_ascii=True, separators=(",", ":")).encode("ascii") + b"\n"


def _fields(item: Item) -> list[Any]:
    return [item.key, item.source, item.position, item.size, item.caption, item.problem, item.version]


def _item(line: str) -> Item:
    return _from_fields(json.loads(line))


def _from_fields(fields: list[Any]) -> Item:
    # Plans of the first version have no item versions.
    key, source, position, size, caption, problem, *more = fields
    unknown: list[Any] = ["", (), None]
    version, captions, mask = [*more, *unknown[len(more) :]]
    own = mask and _from_fields(mask)
    return Item(key, source, tuple(position), size, caption, problem, version, tuple(captions), own)
