"""The work of a run: shard by shard, pictures are read, captioned, recorded, and captions put where they belong."""

from __future__ import annotations

import os
import time
from collections import deque
from collections.abc import Callable, Sequence
from concurrent.futures import Future
from dataclasses import dataclass, replace
from types import MappingProxyType
from typing import Any, Protocol

from ..errors import RunStopped
from .captioning.images import Picture, Prepare, Reader, finish
from .captioning.result import CaptionResult
from .context import RunContext
from .progress import Watched
from .records import Item, Record
from .review.thumbnails import thumbnail
from .state.parts import counted
from .state.plan import Shard
from .targets import text_of
from .targets.target import item_of
from .text import apply_policy, render


class Captions(Protocol):
    """What turns pictures into captions: `captioning.Models`, or something of your own."""

    prepare: Prepare

    def write(self, pictures: Sequence[Picture], progress: Any = None) -> Sequence[CaptionResult]:
        """What there is to say of each picture. `progress(done, total)` in pictures may raise to stop."""


class NullWriter:
    """Who writes where nothing is to be written: no model has to be loaded to say so."""

    prepare: Prepare = MappingProxyType({})

    def write(self, pictures: Sequence[Picture], progress: Any = None) -> Sequence[CaptionResult]:
        raise AssertionError("nothing was to be captioned")


@dataclass(frozen=True, eq=False)
class _Opened:
    """A shard whose pictures are being read.

    Attributes:
        known: records that were there before the shard was planned, by name of the item.
        before: texts that stood where captions belong, by name of the item.
    """

    shard: Shard
    items: list[Item]
    known: dict[tuple[int, str], Record]
    before: dict[tuple[int, str], str | None]
    reading: list[Future[list[Picture]]]


class Worker:
    """Captions shards in this process."""

    def __init__(self, place: RunContext, count: Callable[[str], int], watched: Watched) -> None:
        """count: tokens of a text."""
        self._place = place
        self._count = count
        self._watched = watched

    def put_in_place(self, shard: Shard, records: list[Record], began: float) -> None:
        """Write the captions of a shard where they belong, then say that it is done.

        Raises OSError; and RunStopped where another process planned the run anew, so that they belong elsewhere.
        """
        if not self._place.revision.is_current():
            raise RunStopped("the source changed, and another process planned this run anew; start this one again")
        known = self._place.parts.known(shard)
        # What stands there of those that were known before is theirs, or what somebody made of it.
        fresh = [each for each in records if each.name not in known or not self._place.has_text(item_of(each))]
        left = {(each.source, each.key): each.reason for each in self._place.target.write(fresh)}
        if left:
            records = [failed(record, left[record.name]) if record.name in left else record for record in records]
            self._place.parts.write(shard, records)
        self._place.parts.finish(shard, records, seconds=round(time.monotonic() - began, 3))
        self._watched.add(shard.count, counted(records)["failed"])

    def wants(self, shard: Shard) -> bool:
        """Whether any picture of a shard is to be captioned."""
        known = self._place.parts.known(shard)
        rest = [item for item in shard.items() if item.name not in known]
        return any(self._wants(item, self._place.target.existing(item)) for item in rest)

    def work(self, shards: Sequence[Shard], writer: Captions, threads: int | None) -> None:
        """Caption shards one after the other; while the models work on one, the pictures of the next are read.

        Raises OSError, and whatever the writer or the watcher raise.
        """
        prepare = {**writer.prepare, "thumbnail": thumbnail}
        if not shards:
            return
        with Reader(self._place.sources, prepare, threads or os.cpu_count() or 1) as reader:
            begun = deque([self._open(shards[0], reader)])
            for following in (*shards[1:], None):
                began = time.monotonic()
                if following is not None:
                    begun.append(self._open(following, reader))
                now = begun.popleft()
                pictures = list(finish(now.reading, self._watched.again))
                records = self._records(now, pictures, writer)
                self._keep_thumbnails(now, pictures)
                self._place.parts.write(now.shard, records)
                self.put_in_place(now.shard, records, began)

    def _open(self, shard: Shard, reader: Reader) -> _Opened:
        """Look what stands there already, and begin to read the pictures that are to be captioned."""
        items, known = shard.items(), self._place.parts.known(shard)
        before = {item.name: self._place.target.existing(item) for item in items if item.name not in known}
        wanted = [item for item in items if item.name in before and self._wants(item, before[item.name])]
        return _Opened(shard, items, known, before, reader.begin(wanted))

    def _keep_thumbnails(self, opened: _Opened, pictures: Sequence[Picture]) -> None:
        number = opened.shard.number
        shots = {name: self._place.thumbnails.of(number, name) for name in opened.known}
        shots |= {picture.item.name: picture.ready["thumbnail"] for picture in pictures if picture.ready}
        self._place.thumbnails.write(number, {name: shot for name, shot in shots.items() if shot is not None})

    def _wants(self, item: Item, before: str | None) -> bool:
        return not item.problem and not self._place.stays(before)

    def _records(self, opened: _Opened, pictures: Sequence[Picture], writer: Captions) -> list[Record]:
        """A record for each item of a shard."""
        good = [picture for picture in pictures if not picture.error]
        answers = writer.write(good, self._watched.within) if good else []
        written = {picture.item.name: answer for picture, answer in zip(good, answers, strict=True)}
        read = {picture.item.name: picture for picture in pictures}
        return [
            opened.known.get(item.name)
            or self._record(item, opened.before[item.name], read.get(item.name), written.get(item.name))
            for item in opened.items
        ]

    def _record(self, item: Item, before: str | None, picture: Picture | None, written: CaptionResult | None) -> Record:
        record = Record(item.key, "kept", "its caption was there before", item.source, before=before)
        if item.problem:
            return failed(record, item.problem)
        if picture is None:
            return replace(record, caption=text_of(before or ""))
        if picture.error or written is None:
            return failed(replace(record, sha256=picture.sha256), picture.error)
        return self._captioned(record, picture, written)

    def _captioned(self, record: Record, picture: Picture, written: CaptionResult) -> Record:
        """The record of a picture that was captioned."""
        settings, size = self._place.settings, (picture.width, picture.height)
        texts = [
            render(
                each.text,
                picture.item,
                settings.wording,
                self._count,
                size,
                caption=each.text if settings.mode == "caption" else written.caption,
                phrases=written.phrases,
                tags=written.tags,
            )
            for each in written.texts
        ]  # the best first
        flags = (*written.flags, *texts[0].flags, *(("animated",) if picture.animated else ()))
        seen = replace(
            record, width=picture.width, height=picture.height, sha256=picture.sha256, looks=picture.looks,
            scores=written.texts[0].scores, flags=flags,
        )  # fmt: skip
        if not texts[0].text or "empty_caption" in flags:
            return failed(seen, "the caption came out empty")
        before = None if record.before is None else text_of(record.before)
        caption = apply_policy(before, texts[0].text, settings.policy, settings.separator)
        if caption is None:
            return replace(seen, reason="the same text was there before", caption=before or "")
        captions = (caption, *(each.text for each in texts[1:]))
        return replace(seen, status="done", reason="", caption=caption, captions=captions, tokens=self._count(caption))


def failed(record: Record, reason: str) -> Record:
    """The record of a picture that has no caption after all."""
    return replace(record, status="failed", reason=reason)
