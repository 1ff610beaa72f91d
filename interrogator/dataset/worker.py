"""The work of a run: shard by shard, pictures are read, captioned, recorded, and captions put where they belong."""

from __future__ import annotations

import os
import time
from collections import deque
from collections.abc import Callable, Iterator, Mapping, Sequence
from concurrent.futures import Future
from dataclasses import dataclass, replace
from functools import partial
from types import MappingProxyType
from typing import Any, NamedTuple, Protocol

from ..errors import RunStopped
from ..progress import Progress
from .captioning.images import NullReader, Picture, Prepare, Reader, finish
from .captioning.loader import CHECKERS
from .captioning.result import CaptionResult
from .context import RunContext
from .existing.texts import ExistingText
from .in_hand import InHand
from .progress import Watched
from .recording import Recorder, failed
from .records import Item, Record
from .review.thumbnails import thumbnail
from .state.parts import counted
from .state.plan import Shard
from .targets.target import item_of

WRITE, CHECK = "write", "check"
"""What models are needed for."""

_FOR_CHECKS = frozenset({*CHECKERS, "thumbnail"})

Name = tuple[int, str]
"""Of an item."""


class Captions(Protocol):
    """What turns pictures into captions: `captioning.Models`, or something of your own.

    One that has `described()` says which models it uses; see `Models.described`. One that has `check`, with the
    arguments of `write`, also checks the texts that stay as they are, `Picture.existing`; its results have them as
    their texts. One whose `in_flight` is above 0 only waits for a server that answers so many pictures at a time: it is
    called in threads, for several shards at once.
    """

    @property
    def prepare(self) -> Prepare | None:
        """What is wanted of each picture; None where nobody looks at it, so that its file is not read."""

    def write(self, pictures: Sequence[Picture], progress: Any = None) -> Sequence[CaptionResult]:
        """The result for each picture. `progress(done, total)` counts pictures; may raise to stop."""


class NullWriter:
    """Stands in where no picture is to be captioned, so that no model is loaded."""

    prepare: Prepare = MappingProxyType({})

    def write(self, pictures: Sequence[Picture], progress: Any = None) -> Sequence[CaptionResult]:
        raise AssertionError("there was nothing to caption")


@dataclass(frozen=True, eq=False)
class _Opened:
    """A shard whose pictures are being read.

    Attributes:
        known: records carried over from an earlier plan, by name of the item.
        existing: what the dataset says of the pictures already, by name of the item.
        work: by name of the item `WRITE`, `CHECK` or "".
    """

    shard: Shard
    items: list[Item]
    known: dict[Name, Record]
    existing: dict[Name, ExistingText | None]
    work: dict[Name, str]
    reading: list[Future[list[Picture]]]


class _Read(NamedTuple):
    """A shard whose pictures were read. `began`: when that was waited for, as `time.monotonic` tells."""

    opened: _Opened
    pictures: list[Picture]
    began: float


class Worker:
    """Captions shards in this process."""

    def __init__(self, context: RunContext, count: Callable[[str], int], watched: Watched) -> None:
        """count: tokens of a text."""
        self._context = context
        self._recorder = Recorder(context, count)
        self._watched = watched

    def deliver(self, shard: Shard, records: list[Record], began: float) -> None:
        """Write the captions of a shard where they belong, then mark it as done.

        Raises:
            OSError: a caption cannot be written.
            RunStopped: another process has planned the run anew, so the captions belong elsewhere.
        """
        if not self._context.revision.is_current():
            raise RunStopped("the source changed and another process planned this run anew; start this process again")
        known = self._context.parts.known(shard)
        # The texts of known records are theirs already, or somebody has edited them.
        lost = self._context.pictures.place(list(zip(shard.items(), records, strict=True)))
        left = {(each.source, each.key): each.reason for each in lost}
        fresh = [each for each in records if each.name not in known or not self._context.has_text(item_of(each))]
        written = self._context.target.write([each for each in fresh if each.name not in left])
        left |= {(each.source, each.key): each.reason for each in written}
        if left:
            records = [failed(record, left[record.name]) if record.name in left else record for record in records]
            self._context.parts.write(shard, records)
        self._context.parts.finish(shard, records, seconds=round(time.monotonic() - began, 3))
        self._watched.add(shard.count, counted(records)["failed"])

    def kinds_of_work(self, shard: Shard) -> set[str]:
        """What models are needed for in a shard: `write`, `check`, both or neither."""
        known = self._context.parts.known(shard)
        rest = [item for item in shard.items() if item.name not in known]
        found: set[str] = set()
        for item in rest:
            found.add(self._work(item, self._context.existing(item)))
            if WRITE in found:  # whoever can write can check
                break
        return found - {""}

    def work(self, shards: Sequence[Shard], writer: Captions, threads: int | None) -> None:
        """Caption shards one after the other; while the models work on one, the pictures of the next are read.

        A writer with `in_flight` gets the next shards before it is done with the first; see `InHand`.

        Raises OSError, and whatever the writer or the watcher raises.
        """
        if not shards:
            return
        in_flight: int = getattr(writer, "in_flight", 0)
        hand: InHand[_Read, dict[Name, CaptionResult]] = InHand(in_flight, self._watched)
        with self._reader(writer.prepare, threads) as reader, hand:
            for read in self._read(shards, reader):
                for each in hand.give(read, len(read.pictures), partial(self._answers, read, writer)):
                    self._keep(*each)
            for each in hand.rest():
                self._keep(*each)

    def _read(self, shards: Sequence[Shard], reader: Reader) -> Iterator[_Read]:
        """The pictures of shards; whenever those of one are there, the next is being read."""
        begun = deque([self._open(shards[0], reader)])
        for following in (*shards[1:], None):
            began = time.monotonic()
            if following is not None:
                begun.append(self._open(following, reader))
            now = begun.popleft()
            pictures = [
                replace(picture, existing=self._text(now.existing[picture.item.name]))
                for picture in finish(now.reading, self._watched.again)
            ]
            yield _Read(now, pictures, began)

    def _keep(self, read: _Read, answers: Mapping[Name, CaptionResult]) -> None:
        """Write down what became of a shard, then its captions."""
        records = self._records(read, answers)
        self._keep_thumbnails(read.opened, read.pictures)
        self._context.parts.write(read.opened.shard, records)
        self.deliver(read.opened.shard, records, read.began)

    def _reader(self, prepare: Prepare | None, threads: int | None) -> Reader:
        if prepare is None:
            return NullReader()
        threads, masked = threads or os.cpu_count() or 1, self._context.settings.masked
        return Reader(self._context.sources, {**prepare, "thumbnail": thumbnail}, threads, masked)

    def _text(self, existing: ExistingText | None) -> str | None:
        """The text that was there, without what belongs to its file; an edit decides that by itself."""
        if existing is None:
            return None
        return existing.text if self._context.settings.edit is None else existing.raw

    def _open(self, shard: Shard, reader: Reader) -> _Opened:
        """Look up existing texts, and begin to read the pictures that are to be captioned."""
        items, known = shard.items(), self._context.parts.known(shard)
        existing = {item.name: self._context.existing(item) for item in items if item.name not in known}
        work = {item.name: self._work(item, existing[item.name]) for item in items if item.name in existing}
        reading = reader.begin([item for item in items if work.get(item.name) == WRITE])
        reading += reader.begin([item for item in items if work.get(item.name) == CHECK], _FOR_CHECKS)
        return _Opened(shard, items, known, existing, work, reading)

    def _keep_thumbnails(self, opened: _Opened, pictures: Sequence[Picture]) -> None:
        number = opened.shard.number
        shots = {name: self._context.thumbnails.of(number, name) for name in opened.known}
        shots |= {picture.item.name: picture.ready["thumbnail"] for picture in pictures if picture.ready}
        self._context.thumbnails.write(number, {name: shot for name, shot in shots.items() if shot is not None})

    def _work(self, item: Item, existing: ExistingText | None) -> str:
        """What the models are needed for: to write a caption, to check the one that stays, or "" for nothing."""
        if item.problem:
            return ""
        if not self._context.keeps(existing):
            return "" if self._context.target.refusal(item) else WRITE
        settings = self._context.settings
        return CHECK if settings.overview or settings.check and existing is not None and existing.text else ""

    def _answers(self, read: _Read, writer: Captions, progress: Progress) -> dict[Name, CaptionResult]:
        """What the writer says of pictures that it is asked about, by name."""
        good = [picture for picture in read.pictures if not picture.error]
        new = [picture for picture in good if read.opened.work[picture.item.name] == WRITE]
        old = [picture for picture in good if read.opened.work[picture.item.name] == CHECK]
        check = getattr(writer, "check", None)
        answers = {
            **dict(zip(new, writer.write(new, progress) if new else (), strict=True)),
            **(dict(zip(old, check(old, progress), strict=True)) if old and check else {}),
        }
        return {picture.item.name: answer for picture, answer in answers.items()}

    def _records(self, read: _Read, results: Mapping[Name, CaptionResult]) -> list[Record]:
        """A record for each item of a shard."""
        opened = read.opened
        pictures = {picture.item.name: picture for picture in read.pictures}
        return [
            opened.known.get(item.name)
            or self._recorder.record(item, opened.existing[item.name], pictures.get(item.name), results.get(item.name))
            for item in opened.items
        ]


def described(writer: Captions) -> dict[str, Any]:
    """The models of a writer, if it describes them."""
    describe = getattr(writer, "described", None)
    return {} if describe is None else dict(describe())
