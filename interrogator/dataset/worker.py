"""The work of a run: shard by shard, pictures are read, captioned, recorded, and captions put where they belong."""

from __future__ import annotations

import os
import time
from collections import deque
from collections.abc import Callable, Sequence
from concurrent.futures import Future
from dataclasses import dataclass, replace
from functools import partial
from types import MappingProxyType
from typing import Any, Protocol

from ..errors import RunStopped
from ..image_models import TextEncoder, image_model
from ..image_models.token_counts import token_count
from ..modes import Mode
from .captioning.images import NullReader, Picture, Prepare, Reader, finish
from .captioning.loader import CHECKERS
from .captioning.result import CaptionResult
from .context import RunContext
from .existing.joining import front_trigger, written
from .existing.texts import ExistingText
from .progress import Watched
from .records import Item, Record
from .review.thumbnails import thumbnail
from .state.parts import counted
from .state.plan import Shard
from .targets import text_of
from .targets.target import item_of
from .text import CaptionRules, RenderedText, holds, render
from .text.lines import lines_of

WRITE, CHECK = "write", "check"
"""What models are needed for."""

_FOR_CHECKS = frozenset({*CHECKERS, "thumbnail"})


class Captions(Protocol):
    """What turns pictures into captions: `captioning.Models`, or something of your own.

    One that has `described()` says which models it uses; see `Models.described`. One that has `check`, with the
    arguments of `write`, also checks the texts that stay as they are, `Picture.existing`; its results have them as
    their texts.
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
    known: dict[tuple[int, str], Record]
    existing: dict[tuple[int, str], ExistingText | None]
    work: dict[tuple[int, str], str]
    reading: list[Future[list[Picture]]]


class Worker:
    """Captions shards in this process."""

    def __init__(self, context: RunContext, count: Callable[[str], int], watched: Watched) -> None:
        """count: tokens of a text."""
        self._context = context
        self._count = count
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
        fresh = [each for each in records if each.name not in known or not self._context.has_text(item_of(each))]
        left = {(each.source, each.key): each.reason for each in self._context.target.write(fresh)}
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

        Raises OSError, and whatever the writer or the watcher raises.
        """
        if not shards:
            return
        with self._reader(writer.prepare, threads) as reader:
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
                records = self._records(now, pictures, writer)
                self._keep_thumbnails(now, pictures)
                self._context.parts.write(now.shard, records)
                self.deliver(now.shard, records, began)

    def _reader(self, prepare: Prepare | None, threads: int | None) -> Reader:
        if prepare is None:
            return NullReader()
        return Reader(self._context.sources, {**prepare, "thumbnail": thumbnail}, threads or os.cpu_count() or 1)

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
            return WRITE
        settings = self._context.settings
        return CHECK if settings.overview or settings.check and existing is not None and existing.text else ""

    def _records(self, opened: _Opened, pictures: Sequence[Picture], writer: Captions) -> list[Record]:
        """A record for each item of a shard."""
        good = [picture for picture in pictures if not picture.error]
        new = [picture for picture in good if opened.work[picture.item.name] == WRITE]
        old = [picture for picture in good if opened.work[picture.item.name] == CHECK]
        check = getattr(writer, "check", None)
        answers = {
            **dict(zip(new, writer.write(new, self._watched.within) if new else (), strict=True)),
            **(dict(zip(old, check(old, self._watched.within), strict=True)) if old and check else {}),
        }
        results = {picture.item.name: answer for picture, answer in answers.items()}
        read = {picture.item.name: picture for picture in pictures}
        return [
            opened.known.get(item.name)
            or self._record(item, opened.existing[item.name], read.get(item.name), results.get(item.name))
            for item in opened.items
        ]

    def _record(
        self, item: Item, existing: ExistingText | None, picture: Picture | None, result: CaptionResult | None
    ) -> Record:
        before = existing.raw if existing is not None and existing.in_target else None
        record = Record(item.key, "kept", "it had a caption before", item.source, existing=before)
        if item.problem:
            return failed(record, item.problem)
        if picture is None or self._context.keeps(existing):
            return self._kept(self._as_it_is(record, existing), picture, result)
        if picture.error or result is None or result.error:
            reason = picture.error or (result.error if result is not None else "")
            return failed(replace(record, sha256=picture.sha256), reason)
        if self._context.settings.edit is not None:
            return self._edited(record, result)
        return self._captioned(record, picture, result, existing)

    def _as_it_is(self, record: Record, existing: ExistingText | None) -> Record:
        """The record of a picture with the text that it has."""
        if existing is None:
            return record
        captions = existing.several(self._context.settings.lines) if not existing.in_target else ()
        return replace(
            record, caption=existing.text, captions=captions if len(captions) > 1 else (), flags=existing.flags,
            reason=record.reason if existing.in_target else "its source has a caption",
        )  # fmt: skip

    def _kept(self, record: Record, picture: Picture | None, result: CaptionResult | None) -> Record:
        """The record of a picture whose text stays, with what was found of the text."""
        if picture is None or picture.error or result is None:
            return record
        found = {"animated": picture.animated, "unsupported": bool(result.unsupported)}
        return replace(
            record, width=picture.width, height=picture.height, sha256=picture.sha256, dhash=picture.dhash,
            scores=result.texts[0].scores,
            flags=(*record.flags, *(name for name, is_so in found.items() if is_so)),
            unsupported=result.unsupported, distinctive=_distinctive(result),
        )  # fmt: skip

    def _captioned(
        self, record: Record, picture: Picture, result: CaptionResult, existing: ExistingText | None
    ) -> Record:  # fmt: skip
        """The record of a picture that was captioned."""
        settings = self._context.settings
        for_encoders = self._for_encoders(picture, result)
        texts = (
            [for_encoders[image_model(settings.image_model).main.name]]
            if for_encoders
            else self._texts_of(picture, result, existing)
        )
        unsupported = tuple(words for words in result.unsupported if holds(texts[0].text, words))
        own_flags = {"animated": picture.animated, "unsupported": bool(unsupported)}
        flags = (*result.flags, *texts[0].flags, *(name for name, is_so in own_flags.items() if is_so))
        record = replace(
            record, width=picture.width, height=picture.height, sha256=picture.sha256, dhash=picture.dhash,
            scores=result.texts[0].scores, flags=flags, tags=(*result.tags, *result.labels), unsupported=unsupported,
            distinctive=_distinctive(result),
            texts={name: each.text for name, each in for_encoders.items()} if len(for_encoders) > 1 else {},
        )  # fmt: skip
        if not texts[0].text or "empty_caption" in flags:
            return failed(record, "the caption came out empty")
        found = written(existing, tuple(each.text for each in texts), settings)
        if found is None:
            return self._as_it_is(replace(record, reason="it had the same caption before"), existing)
        caption, captions = found
        is_of_lines = existing is not None and self._context.writes_sidecars and len(lines_of(caption)) > 1
        record = replace(record, flags=(*record.flags, *(("several_lines",) if is_of_lines else ())))
        return replace(
            record, status="done", reason="", caption=caption, captions=captions, tokens=self._count(caption)
        )

    def _texts_of(
        self, picture: Picture, result: CaptionResult, existing: ExistingText | None
    ) -> list[RenderedText]:  # fmt: skip
        """The texts of a result after the rules; those that are made of what is there, one for each caption."""
        settings, texts = self._context.settings, [each.text for each in result.texts]
        if existing is None or "existing" not in settings.rules.names:
            rules = replace(settings.rules, trigger="") if front_trigger(existing, settings) else settings.rules
            return [self._rendered(text, picture, result, rules=rules) for text in texts]
        old = existing.several(settings.lines)
        pairs = [(texts[each % len(texts)], old[each % len(old)]) for each in range(max(len(texts), len(old)))]
        return [self._rendered(text, replace(picture, existing=before), result) for text, before in pairs]

    def _edited(self, record: Record, result: CaptionResult) -> Record:
        """The record of a picture whose text was edited: the new text as it is."""
        if not result.texts:
            return replace(record, reason="it has no caption")
        caption = result.texts[0].text
        lines = tuple(lines_of(caption))
        record = replace(record, caption=caption, captions=lines or (caption,), tokens=self._count(caption))
        is_same = record.existing is not None and text_of(record.existing) == caption
        if is_same and not (record.existing or "").startswith("\ufeff"):  # a mark is no part of a caption
            return replace(record, reason="the edit changes nothing")
        return replace(record, status="done", reason="")

    def _for_encoders(self, picture: Picture, result: CaptionResult) -> dict[str, RenderedText]:
        """By name of the encoder of an image model its text after the rules, within its limit; {} without a model."""
        if not result.encoder_texts:
            return {}
        found = {}
        for encoder in image_model(self._context.settings.image_model).encoders:
            text = self._rendered(result.encoder_texts[encoder.name], picture, result)
            if token_count(text.text, encoder) > encoder.limit:  # with what the rules put around it
                text = self._rendered(result.encoder_texts[encoder.name], picture, result, encoder)
            found[encoder.name] = text
        return found

    def _rendered(
        self, text: str, picture: Picture, result: CaptionResult, encoder: TextEncoder | None = None,
        rules: CaptionRules | None = None,
    ) -> RenderedText:  # fmt: skip
        """A text of a result after the rules. encoder: its limit takes the place of the rules'."""
        settings, count = self._context.settings, self._count
        rules = rules or settings.rules
        if encoder is not None:
            count, rules = partial(token_count, encoder=encoder), replace(rules, token_limit=encoder.limit)
        is_caption = settings.mode == Mode.CAPTION.value and not settings.image_model
        return render(
            text, picture.item, rules, count, (picture.width, picture.height),
            caption=text if is_caption else result.caption, phrases=result.phrases, tags=result.tags,
            existing=picture.existing or "", by_evidence=result.by_evidence,
        )  # fmt: skip


def _distinctive(result: CaptionResult) -> tuple[str, ...]:
    return tuple(phrase.text for phrase in result.by_evidence.get("distinctive", ()))


def failed(record: Record, reason: str) -> Record:
    """The record of a picture that has no caption after all."""
    return replace(record, status="failed", reason=reason)


def described(writer: Captions) -> dict[str, Any]:
    """The models of a writer, if it describes them."""
    describe = getattr(writer, "described", None)
    return {} if describe is None else dict(describe())
