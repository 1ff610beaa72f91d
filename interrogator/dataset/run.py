"""A run: plan, caption shard by shard, write the captions, report. Whatever interrupts it, it continues from there.

Asking again for the same sources, settings and target continues the same run: it captions what is left, and pictures
that were added since. What is done stays as it is, edits included; only captions that are gone while their pictures
exist are written again from the records, without the models. To have all captions written anew, undo the run first, or
ask for something else, such as another seed.
"""

from __future__ import annotations

import logging
import os
import time
from collections import deque
from collections.abc import Callable, Iterator, Mapping, Sequence
from functools import partial
from os import PathLike
from pathlib import Path
from typing import Any, Protocol

from ..errors import RequestError
from ..locks import exclusive
from .captioning.loader import loader_for
from .context import RunContext
from .existing.finder import ExistingTexts
from .existing.texts import ExistingText
from .finish import Summary, finish, put_back
from .preview import previewed
from .progress import Watch, Watched
from .records import Item
from .settings import Settings
from .sources import open_sources
from .sources.selection import Chooser, LeftOut, SelectedSource, Selection, left_out_of
from .sources.source import stem
from .state.cleanup import sweep
from .state.glance import Glance, describe_changes, has_changed_containers
from .state.left_out import keep_selection, kept_left_out, kept_selection
from .state.locks import RunLock
from .state.originals import Originals
from .state.pictures import PlacedPictures
from .state.plan import Shard
from .state.renewal import is_pending, renew, repeat_failed
from .state.revision import Revision
from .state.run_folder import RunFolder, check_first_release, home_of, read_run, stopping_cleanly
from .survey import Surveyor, settled_overview
from .targets import PlacedNames, Rejected, Target, TargetOptions, check_reach, open_target
from .targets.link_check import check_links
from .targets.options import DEFAULT_OPTIONS
from .targets.reach import folder_of
from .triggers import TriggerSettings
from .worker import WRITE, Captions, NullWriter, Worker, described

__all__ = ["SHARD_SIZE", "Captions", "Engine", "Run"]

SHARD_SIZE = 64
_PLAN_LOCK = "plan.lock"

logger = logging.getLogger("interrogator")


class Engine(Protocol):
    """Captions shards in other processes, with `Run.caption`."""

    def __call__(
        self, run: Run, shards: Sequence[Shard], models: Callable[[], Captions], count: Callable[[str], int],
        add: Callable[[int, int], None], threads: int | None,
    ) -> None:  # fmt: skip
        """Caption shards; arguments as of `Run.work`.

        add: called several times a second with the pictures done since, and those of them that failed; may raise.
        """


class Run:
    """One run over sources, as it stands on disk.

    Attributes:
        folder: its own, under `.interrogator` where the captions go.
        plan, parts: what is to do, and what is done.
        column: of captions, in targets with columns.
        options: how the target is written.
    """

    def __init__(
        self, sources: Sequence[str | PathLike[str]], settings: Settings, out: str | PathLike[str] | None = None,
        target: str = "txt", column: str = "text", kind: Any = None, shard_size: int = SHARD_SIZE,
        options: TargetOptions | Mapping[str, Any] = DEFAULT_OPTIONS, selection: Selection | None = None,
    ) -> None:  # fmt: skip
        """Open sources and target; writes nothing.

        Args:
            sources: folders, tars, parquet files, lists; paths or URLs.
            out: where captions go; None is beside the pictures.
            target: one of `targets.KINDS`.
            column: of captions, in targets with columns.
            kind: what the sources are, where that cannot be found out.
            shard_size: pictures; a crash repeats at most one shard.
            options: how the target is written; a mapping is what `TargetOptions.as_dict` gives.
            selection: which pictures are taken; None takes all but masks and controls.

        Raises:
            RequestError: a source or target that cannot be opened, a table that could not name the pictures, or no
                folder for the run's own files.
        """
        if shard_size < 1:
            raise RequestError(f"shard_size must be at least 1, not {shard_size}")
        self.settings = settings
        self.selection = selection or Selection()
        self._chooser = Chooser(self.selection, settings.masked)
        opened = open_sources(sources, kind, column)
        self.sources = [SelectedSource(source, self._chooser) for source in opened]
        uris = [source.uri for source in self.sources]
        several = settings.captions_per_image > 1
        options = options if isinstance(options, TargetOptions) else TargetOptions.from_dict(options)
        self._open_target = partial(open_target, target, out, opened, column, several, options)
        self.target: Target = self._open_target()
        self._asked = {
            "sources": uris, "kind": kind, "out": None if out is None else os.path.abspath(out), "target": target,
            "column": column, "shard_size": shard_size,
            **({"options": options.as_dict()} if options != DEFAULT_OPTIONS else {}),
        }  # fmt: skip
        self._home = home_of(opened, out)
        self.folder = self._home / settings.digest(self._asked)
        self._files = RunFolder(self.folder)
        if not self.folder.exists():  # earlier versions began runs that this refuses
            check_reach(target, out, opened, options)
        names = PlacedNames(opened, folder_of(Path(out))) if options.images and out is not None else None
        self._pictures = PlacedPictures(self.folder, names, options.images == "link")
        self.column = column
        self.options = options
        self._shard_size = shard_size
        self._beside = out is None
        self._for_picture = TriggerSettings(settings, self.sources)
        self._left_out: LeftOut | None = None
        self._is_news = False
        self._read()

    @classmethod
    def reopened(cls, folder: str | PathLike[str]) -> Run:
        """A run by its folder, as `Summary.run` names it.

        Raises:
            RequestError: the folder holds no run, the run was undone, or its sources have moved.
        """
        settings, asked = read_run(folder)
        try:
            run = cls(settings=settings, selection=kept_selection(Path(folder)), **asked)
        except TypeError as error:
            raise RequestError(f"{folder} holds no run that this version can read ({error})") from error
        if run.folder.resolve() != Path(folder).resolve():
            raise RequestError(f"{folder} was moved; its run belongs to {run.folder}")
        return run

    def items(self) -> Iterator[Item]:
        """All pictures that are taken of all sources."""
        for source in self.sources:
            yield from source.items()
        self._left_out = left_out_of(self.sources, self._chooser)

    def left_out(self) -> LeftOut:
        """What was not taken when the sources were last listed."""
        return self._left_out or kept_left_out(self.folder)

    def preview(self, retry_failed: bool = False) -> dict[str, int]:
        """Count pictures by what a run would do: caption them, keep their texts, fail, or nothing (done already)."""
        return previewed(self._context, self.items(), retry_failed)

    def work(
        self, models: Callable[[], Captions], count: Callable[[str], int], watch: Watch | None = None,
        retry_failed: bool = False, rank: int = 0, world_size: int = 1, threads: int | None = None,
        engine: Engine | None = None,
    ) -> Summary:  # fmt: skip
        """Caption what is left, and report.

        Several processes may share a run: the first writes the plan, each captions every `world_size`-th shard, and the
        one that finds nothing left writes tables and report. They add pictures to the plan, and retry failed ones,
        only when nothing was left of it.

        Args:
            models: loads what writes captions; called only if something is left to caption. Where captions are only
                checked, its `for_checks` is called instead, if it has one; see `captioning.loader`.
            count: tokens of a text.
            retry_failed: retry images that failed in an earlier run.
            rank, world_size: number of this process, from 0, and of all processes.
            threads: number of image-reading threads; None is one for each processor.
            engine: captions the shards; None is this process.

        Raises:
            RequestError: another run holds the folder, an undo was interrupted, or an earlier release began this run
                and meant something else by its template.
            RunStopped: the disk is full or gone; finished captions are kept.
        """
        if world_size < 1:
            raise RequestError(f"world_size must be at least 1, not {world_size}")
        if not 0 <= rank < world_size:
            raise RequestError(f"rank must be from 0 to {world_size - 1}, not {rank}")
        if threads is not None and threads < 1:
            raise RequestError(f"threads must be at least 1, not {threads}")
        began = time.time()
        with stopping_cleanly(self._home), RunLock(self._home, rank, world_size, self.folder.name):
            self._read()  # another process may have worked on it until now
            self._check_can_continue()
            self._make_plan(retry_failed, world_size == 1, Watched(watch, len(self.plan)))
            own = [shard for shard in self.plan.shards if shard.number % world_size == rank]
            watched = Watched(watch, sum(shard.count for shard in own))
            done = self.parts.done(self.plan)
            is_done = {shard.number for shard in done}
            earlier = [shard for shard in own if shard.number in is_done]
            watched.add(sum(shard.count for shard in earlier), sum(map(self.parts.failures, earlier)))
            standing = put_back(self._context, earlier, watched, self._is_news)
            left = [shard for shard in own if shard.number not in is_done]
            if engine is None:
                self._caption(left, models, count, watched, threads)
            elif left:
                engine(self, left, models, count, watched.add, threads)
            return finish(self._context, standing, began, watched)

    def prepare(self, retry_failed: bool = False) -> int:
        """Write the plan, as `work` does first; how many shards are left to caption. Raises as `work`.

        For a caller that starts several processes to work on them.
        """
        with stopping_cleanly(self._home), RunLock(self._home):
            self._read()
            self._check_can_continue()
            self._make_plan(retry_failed, True, Watched(None, 0))
            return len(self.plan.shards) - len(self.parts.done(self.plan))

    def caption(
        self, numbers: Sequence[int], models: Callable[[], Captions], count: Callable[[str], int],
        threads: int | None = None, watch: Watch | None = None,
    ) -> tuple[int, int]:  # fmt: skip
        """For an engine: caption shards, by number, of a run that another process holds; counts pictures and failures.

        Shards that are done by now are skipped. Raises what `models`, the disk and the watcher raise.
        """
        self._read()
        shards = [self.plan.shards[number] for number in numbers]
        done = set(self.parts.done(self.plan))
        self._caption([shard for shard in shards if shard not in done], models, count, Watched(watch, 0), threads)
        return sum(shard.count for shard in shards), sum(map(self.parts.failures, shards))

    def undo(self) -> list[Rejected]:
        """Put back the texts that existed before the run; those edited since stay and are returned.

        The run's folder gets another name: asking for the same run again starts anew.

        Raises:
            RequestError: another run holds the folder.
            RunStopped: the disk is full or gone; undo again to continue.
        """
        with stopping_cleanly(self._home), RunLock(self._home):
            self._read()
            began = time.time()
            self._files.begin_undo()
            self._context.revision.withdraw(self.target)
            left: list[Rejected] = []
            if not self.target.files() or not Originals(self.folder).put_back(self.target.files()):
                left = self.target.restore(self.parts.records(self.parts.written(self.plan)))
            left = [*left, *self._pictures.remove()]
            self.target = self._open_target()
            sweep(self._context, began)  # what an undo left behind that was killed
            self._files.end_undo()
            self._read()
        return left

    def _read(self) -> None:
        """Read plan and parts from the disk."""
        revision = Revision.current(self.folder)
        self.plan, self.parts = revision.plan(self._shard_size), revision.parts()
        self._context = RunContext(
            self.settings, self.sources, self.target, self._beside, self._files, self.plan, self.parts,
            revision.thumbnails(), revision, self._pictures, self._for_picture,
            ExistingTexts(self.sources, self.target),
        )  # fmt: skip

    def existing(self, item: Item) -> ExistingText | None:
        """What the dataset says of a picture already, wherever that stands; None if nothing."""
        return self._context.existing(item)

    def _check_can_continue(self) -> None:
        """Raises RequestError: an undo was interrupted, or the first release began this run with another meaning."""
        self._files.check_whole()
        check_links(self.target.files(), self.sources[0].folder if self._beside else None)
        settings = self.settings.first_release()
        if settings is not None:
            check_first_release(RunFolder(self._home / settings.digest(self._asked)), settings.rules.template)

    def _make_plan(self, retry_failed: bool, alone: bool, watched: Watched) -> None:
        """Plan pictures that are new; plan everything anew where planned ones have changed."""
        self._files.begin(self._asked, self.settings)
        self._pictures.check()
        with exclusive(self.folder / _PLAN_LOCK, watched.again):
            self._read()  # another process may have planned meanwhile
            self._context.revision.withdraw(self.target)
            if not alone and len(self.parts.done(self.plan)) < len(self.plan.shards):
                # Other processes may be working on it: new pictures can wait, a wrong plan cannot.
                if has_changed_containers(self.plan, self.sources):
                    self._renew_plan(watched)
                return
            glance = Glance(self.plan, self.sources)
            if retry_failed:
                deque(glance.watch(self.items()), maxlen=0)
            else:
                self.plan.extend(glance.watch(self.items()), self._caption_file, unless=glance.is_stale)
            self._is_news = keep_selection(self.folder, self.selection, self.left_out())
            if glance.is_stale() or is_pending(self._context, glance.left_out):
                self._renew_plan(watched, retry_failed)
            else:
                self._report_change(describe_changes(glance.gone()[0], glance.new, 0))
            if retry_failed:
                repeat_failed(self._context, self.items(), self._caption_file)
                self.plan.extend(self.items(), self._caption_file)

    def _renew_plan(self, watched: Watched, retry_failed: bool = False) -> None:
        """Plan the run anew and keep its records; see `renew`."""
        worker = Worker(self._context, len, Watched(None, 0))
        done = set(self.parts.done(self.plan))
        for shard in self.parts.written(self.plan):
            if shard not in done:  # a process stopped between the two
                worker.deliver(shard, self.parts.read(shard), time.monotonic())
        sentence = renew(self._context, self._caption_file, watched.again, retry_failed)
        self._read()
        self._context.revision.withdraw(self.target)
        self._report_change(sentence)

    def _report_change(self, sentence: str) -> None:
        if sentence:
            self._files.add_change(sentence)
            logger.warning(sentence)

    def _caption_file(self, item: Item) -> str:
        """The path of an item's caption file; "" where it cannot collide with another's."""
        if not self._context.writes_sidecars:
            return ""
        if self._beside:
            return str(self.sources[item.source].sidecar(item, ".txt") or "")
        return f"{item.source}/{stem(item.key)}"

    def _caption(
        self, shards: Sequence[Shard], models: Callable[[], Captions], count: Callable[[str], int], watched: Watched,
        threads: int | None,
    ) -> None:  # fmt: skip
        """Finish what a stopped process had captioned, then caption the rest."""
        worker = Worker(self._context, count, watched)
        written = set(self.parts.written(self.plan))
        for shard in shards:
            if shard in written:
                worker.deliver(shard, self.parts.read(shard), time.monotonic())
        left = [shard for shard in shards if shard not in written]
        work = set().union(*map(worker.kinds_of_work, left))
        if not work:
            worker.work(left, NullWriter(), threads)
        else:
            writer = loader_for(models, WRITE in work)()
            if not self._files.add_models(described(writer)):
                logger.warning("this run began with other weights; see run.json")
            if self.settings.compares:
                overview = settled_overview(self._context, left, writer, watched, threads)
                if isinstance(writer, Surveyor):
                    writer.compare_with(overview)
            worker.work(left, writer, threads)
