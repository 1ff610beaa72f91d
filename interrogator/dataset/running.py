"""A run: plan, caption shard by shard, put captions where they belong, report. Whatever stops it, it goes on there.

OUT/.interrogator/run.lock       held while a run works here
OUT/.interrogator/<run>/run.json what was asked for, of what, with which versions
OUT/.interrogator/<run>/plan/    see plan.py
OUT/.interrogator/<run>/parts/   see parts.py
OUT/.interrogator/<run>/report.html, summary.json
"""

from __future__ import annotations

import errno
import json
import os
import platform
import time
from collections import deque
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, replace
from importlib.metadata import PackageNotFoundError, version
from itertools import zip_longest
from os import PathLike
from pathlib import Path
from typing import Any, Protocol

from .. import __version__
from ..errors import RequestError, RunStopped
from ..whole_files import write_whole
from .findings import Findings, find
from .holding import Held
from .parts import Parts
from .pictures import Picture, Prepare, Reader, finish
from .plan import Plan, Shard
from .records import Item, Record
from .report import write_report
from .settings import Settings
from .sources import Source, open_source
from .targets import LeftOut, Target, open_target, text_of
from .thumbnails import Thumbnails, thumbnail
from .words import merged, worded

HOME = ".interrogator"
SHARD_SIZE = 64

Watch = Callable[[int, int, int], None]
"""`watch(done, total, failed)` in pictures; called several times a second, may raise to stop the run."""


class Captions(Protocol):
    """What turns pictures into captions: `captioning.Models`, or something of your own."""

    prepare: Prepare

    def write(self, pictures: Sequence[Picture], progress: Any = None) -> Sequence[Any]:
        """A `captioning.Written` for each picture."""


@dataclass(frozen=True)
class Summary:
    """How a run stands.

    Attributes:
        run: its folder.
        total: pictures in the plan.
        counts: pictures by status: done, kept, failed; those not reached yet are in none.
        findings: what to look at; None while shards are left.
        report: the page; None while shards are left.
    """

    run: Path
    total: int
    counts: dict[str, int]
    findings: Findings | None = None
    report: Path | None = None


class Run:
    """One run over sources, as it stands on disk."""

    def __init__(
        self, sources: Sequence[str | PathLike[str]], settings: Settings, out: str | PathLike[str] | None = None,
        target: str = "txt", column: str = "text", kind: Any = None, shard_size: int = SHARD_SIZE,
    ) -> None:  # fmt: skip
        """Open sources and target; nothing is written.

        Args:
            sources: folders, tars, parquet files, lists; paths or URLs.
            out: where captions go; None is beside the pictures.
            target: one of `targets.KINDS`.
            column: of captions, in targets with columns.
            kind: what the sources are, where looking does not tell.
            shard_size: pictures that a crash costs at most.

        Raises:
            RequestError: a source or target that is none, or no place for the run's own folder.
        """
        self.settings = settings
        if not sources:
            raise RequestError("name a source: a folder of pictures, a tar, a parquet file or a list")
        self.sources: list[Source] = [open_source(uri, number, kind) for number, uri in enumerate(sources)]
        self.target: Target = open_target(target, out, self.sources, column, settings.several > 1)
        self.home = _home(self.sources, out)
        self._asked = {
            "sources": [source.uri for source in self.sources], "kind": kind,
            "out": None if out is None else os.path.abspath(out), "target": target, "column": column,
            "shard_size": shard_size,
        }  # fmt: skip
        self.folder = self.home / settings.digest(self._asked)
        self.plan = Plan(self.folder / "plan", shard_size)
        self.parts = Parts(self.folder / "parts")
        self._thumbnails = Thumbnails(self.folder / "parts")

    @classmethod
    def reopened(cls, folder: str | PathLike[str]) -> Run:
        """A run by its folder, as `Summary.run` names it.

        Raises:
            RequestError: that is no folder of a run, or its sources have moved.
        """
        path = Path(folder) / "run.json"
        try:
            told = json.loads(path.read_text(encoding="utf-8"))
            run = cls(settings=Settings.from_dict(told["settings"]), **told["asked"])
        except (OSError, ValueError, KeyError, TypeError, AttributeError) as error:
            raise RequestError(f"{folder} is no folder of a run that this version can read ({error})") from error
        if run.folder.resolve() != Path(folder).resolve():
            raise RequestError(f"{folder} was moved: a run belongs to {run.folder}")
        return run

    def items(self) -> Iterator[Item]:
        """All pictures of all sources."""
        for source in self.sources:
            yield from source.items()

    def preview(self) -> dict[str, int]:
        """What would become of the pictures, without doing it: how many would be captioned, kept, and failed."""
        counts = {"caption": 0, "kept": 0, "failed": 0}
        for item in self.items():
            counts["failed" if item.trouble else "kept" if self._stays(self.target.before(item)) else "caption"] += 1
        return counts

    def work(
        self, models: Callable[[], Captions], count: Callable[[str], int], watch: Watch | None = None,
        retry_failed: bool = False, rank: int = 0, world_size: int = 1, threads: int | None = None,
    ) -> Summary:  # fmt: skip
        """Caption what is left, and report.

        Args:
            models: loads what writes captions; called only if something is left to caption.
            count: tokens of a text.
            retry_failed: try those again that failed before.
            rank, world_size: this process takes every `world_size`-th shard, from `rank` on.
            threads: that read and decode pictures; None is as many as there are processors.

        Raises:
            RequestError: another run holds the folder.
            RunStopped: the disk is full or gone; what is done is kept.
        """
        with _stopping_cleanly(self.home), Held(self.home, rank, world_size):
            self._make_plan(retry_failed)
            done = {shard.number for shard in self.parts.done(self.plan)}
            own = [shard for shard in self.plan.shards if shard.number % world_size == rank]
            progress = _Progress(watch, sum(shard.count for shard in own))
            for shard in own:
                if shard.number in done:
                    progress.add(self.parts.read(shard) if watch else [], shard.count)
            self._caption([shard for shard in own if shard.number not in done], models, count, progress, threads)
            return self._finished()

    def undo(self) -> list[LeftOut]:
        """Put the texts back that stood there before the run; those changed by somebody since stay and are returned."""
        with _stopping_cleanly(self.home), Held(self.home):
            return self.target.restore(record for record in self.parts.records(self.plan) if record.status == "done")

    def _make_plan(self, retry_failed: bool) -> None:
        self.plan.extend(self.items())
        if retry_failed:
            self.plan.repeat(record.name for record in self.parts.records(self.plan) if record.status == "failed")
        path = self.folder / "run.json"
        if not path.exists():
            told = {
                "run": self.folder.name, "asked": self._asked, "settings": self.settings.as_dict(),
                "versions": versions(), "began": time.strftime("%Y-%m-%d %H:%M:%S"),
            }  # fmt: skip
            self.folder.mkdir(parents=True, exist_ok=True)
            write_whole(path, json.dumps(told, indent=1, default=str).encode("utf-8", "backslashreplace"))

    def _caption(
        self, shards: Sequence[Shard], models: Callable[[], Captions], count: Callable[[str], int],
        progress: _Progress, threads: int | None,
    ) -> None:  # fmt: skip
        """Caption shards one after the other; while the models work on one, the pictures of the next are read."""
        left = [shard for shard in shards if not self.parts.is_written(shard)]
        for shard in shards:
            if self.parts.is_written(shard):
                self._put_in_place(shard, self.parts.read(shard), progress, time.monotonic())
        if not left:
            return
        writer = models()
        with Reader(self.sources, {**writer.prepare, "thumbnail": thumbnail}, threads or os.cpu_count() or 1) as reader:
            begun: deque[_Opened] = deque([self._open(left[0], reader)])
            for shard, following in zip_longest(left, left[1:]):
                began = time.monotonic()
                if following is not None:
                    begun.append(self._open(following, reader))
                now = begun.popleft()
                pictures = list(finish(now.reading))
                self._thumbnails.write(shard.number, {p.item.name: p.ready["thumbnail"] for p in pictures if p.ready})
                records = self._records(now, pictures, writer, count, progress)
                self.parts.write(shard, records)
                self._put_in_place(shard, records, progress, began)

    def _open(self, shard: Shard, reader: Reader) -> _Opened:
        """Look what stands there already, and begin to read the pictures that are to be captioned."""
        items = shard.items()
        before = {item.name: self.target.before(item) for item in items}
        wanted = [item for item in items if not item.trouble and not self._stays(before[item.name])]
        return _Opened(items, before, reader.begin(wanted))

    def _stays(self, before: str | None) -> bool:
        """Whether the text that stands there already is left alone, whatever a new caption would be."""
        text = None if before is None else text_of(before)
        return merged(text, "\0", self.settings.policy, self.settings.separator) is None

    def _records(
        self, opened: _Opened, pictures: Sequence[Picture], writer: Captions, count: Callable[[str], int],
        progress: _Progress,
    ) -> list[Record]:  # fmt: skip
        good = [picture for picture in pictures if not picture.error]
        written = dict(
            zip((p.item.name for p in good), writer.write(good, progress.within) if good else [], strict=True)
        )
        read = {picture.item.name: picture for picture in pictures}
        records = []
        for item in opened.items:
            picture, text = read.get(item.name), opened.before[item.name]
            record = Record(item.key, "kept", "its caption was there before", item.source, before=text)
            if item.trouble:
                record = replace(record, status="failed", reason=item.trouble)
            elif picture is not None and picture.error:
                record = replace(record, status="failed", reason=picture.error, sha256=picture.sha256)
            elif picture is not None:
                record = self._record(record, picture, written[item.name], count)
            elif text is not None:
                record = replace(record, caption=text_of(text))
            records.append(record)
        return records

    def _record(self, record: Record, picture: Picture, written: Any, count: Callable[[str], int]) -> Record:
        """The record of a picture that was captioned."""
        size = (picture.width, picture.height)
        wording, policy = self.settings.wording, self.settings.policy
        texts = [
            worded(each.text, written.phrases, picture.item, wording, count, size) for each in written.captions
        ]  # the best first
        before = None if record.before is None else text_of(record.before)
        caption = merged(before, texts[0].text, policy, self.settings.separator)
        seen = replace(
            record, width=picture.width, height=picture.height, sha256=picture.sha256, looks=picture.looks,
            scores=written.captions[0].scores, flags=(*written.flags, *texts[0].flags),
        )  # fmt: skip
        if not texts[0].text:
            return replace(seen, status="failed", reason="the caption came out empty")
        if caption is None:
            return replace(seen, reason="the same text was there before", caption=before or "")
        captions = (caption, *(each.text for each in texts[1:]))
        return replace(seen, status="done", reason="", caption=caption, captions=captions, tokens=count(caption))

    def _put_in_place(self, shard: Shard, records: list[Record], progress: _Progress, began: float) -> None:
        """Write captions where they belong, then say that the shard is done."""
        left = {each.key: each.reason for each in self.target.write(records)}
        if left:
            records = [
                replace(each, status="failed", reason=left[each.key]) if each.key in left else each for each in records
            ]
            self.parts.write(shard, records)
        self.parts.finish(shard, {"pictures": shard.count, "seconds": round(time.monotonic() - began, 3)})
        progress.add(records, shard.count)

    def _finished(self) -> Summary:
        """Write what is made of the whole run, if nothing is left of it."""
        done = self.parts.done(self.plan)
        counts = {"done": 0, "kept": 0, "failed": 0}
        for record in self.parts.records(self.plan):
            counts[record.status] += 1
        if len(done) < len(self.plan.shards) or not self.plan.shards:
            return Summary(self.folder, len(self.plan), counts)
        self.target.finish(self.parts.records(self.plan))
        findings = find(self.parts.records(self.plan), self.settings.wording)
        told = json.loads((self.folder / "run.json").read_text(encoding="utf-8"))
        report = write_report(
            self.folder, self.parts.records(self.plan), findings, told, self._thumbnails.of(done), self.sources[0].uri
        )
        return Summary(self.folder, len(self.plan), counts, findings, report)


@dataclass(frozen=True, eq=False)
class _Opened:
    """A shard whose pictures are being read."""

    items: list[Item]
    before: dict[tuple[int, str], str | None]
    reading: Any


class _Progress:
    """Counts pictures, and tells the watcher; inside the models, too."""

    def __init__(self, watch: Watch | None, total: int) -> None:
        self._watch = watch
        self._total = total
        self._done = self._failed = 0

    def add(self, records: Iterable[Record], count: int) -> None:
        self._done += count
        self._failed += sum(record.status == "failed" for record in records)
        self.within()

    def within(self, *_: int) -> None:
        """Tell the same numbers again, so that the watcher may stop the work; takes the place of a progress."""
        if self._watch:
            self._watch(self._done, self._total, self._failed)


def versions() -> dict[str, str]:
    """Of this library and what it stands on."""
    found = {"interrogator": __version__, "python": platform.python_version()}
    for name in ("torch", "transformers", "open_clip_torch", "pillow", "numpy"):
        try:
            found[name] = version(name)
        except PackageNotFoundError:
            found[name] = "unknown"
    return found


def _home(sources: Sequence[Source], out: str | PathLike[str] | None) -> Path:
    """The folder for runs: in the folder of the captions, or of the pictures."""
    if out is not None:
        path = Path(out)
        return (path.parent if path.suffix and not path.is_dir() else path) / HOME
    if len(sources) == 1 and sources[0].folder is not None:
        return sources[0].folder / HOME
    raise RequestError("say where the captions go: the pictures are in more than one place, or not on this machine")


@contextmanager
def _stopping_cleanly(home: Path) -> Iterator[None]:
    """A full or missing disk ends the run with one sentence; whole files stay whole."""
    try:
        yield
    except OSError as error:
        why = "the disk is full" if error.errno in (errno.ENOSPC, errno.EDQUOT) else error.strerror or str(error)
        where = error.filename or home
        raise RunStopped(f"{where}: {why}; what is done is kept, so the same command goes on from there") from error
