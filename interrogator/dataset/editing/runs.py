"""An edit as a run, and what it would do."""

from __future__ import annotations

import logging
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from functools import partial
from os import PathLike
from pathlib import Path
from typing import Any

from ..engines.processes import work_in_processes
from ..existing.tables import caption_column
from ..existing.texts import ExistingText
from ..progress import Watch
from ..records import Item
from ..rounds import next_round
from ..run import SHARD_SIZE, Run
from ..settings import Settings
from ..sources import open_source
from ..sources.selection import Selection
from ..targets import TargetOptions
from ..targets.metadata_tables import METADATA_FILES, metadata_in
from ..targets.options import DEFAULT_OPTIONS
from ..targets.text_tables import KohyaTable
from ..text.token_count import count_tokens
from .characters import categories_of_run, recorded_categories
from .counts import count_tags, counts_of_run
from .edit import Edit
from .editor import Editor, texts_before
from .origins import UnreadableTextError, captions_are_in

logger = logging.getLogger("interrogator")


@dataclass(frozen=True)
class Difference:
    """What an edit would do to a picture's text.

    Attributes:
        before, after: the texts; None where there is none.
        problem: why it cannot be edited, one sentence; "" if it can.
        is_written: whether the target would get another text than it has.
    """

    key: str
    before: str | None = None
    after: str | None = None
    problem: str = ""
    is_written: bool = False


def open_edit(
    sources: Sequence[str | PathLike[str]], edit: Edit, out: str | PathLike[str] | None = None,
    target: str | None = None, column: str | None = None, kind: Any = None, shard_size: int = SHARD_SIZE,
    writes: bool = True, options: TargetOptions = DEFAULT_OPTIONS, selection: Selection | None = None,
) -> Run:  # fmt: skip
    """An edit as a run: the one that was begun and not finished, else a new one.

    Args:
        target: None is where the captions are, and .txt files where they are read from elsewhere.
        column: of captions, in targets with columns; None is `text`.
        writes: whether captions are to be written; a run that only shows or counts needs no place for them.
        others: as of `Run`.

    Raises RequestError: as `Run`; or the captions are in tars or tables, and no target is named.
    """
    if target is None:
        opened = [open_source(uri, number, kind) for number, uri in enumerate(sources)]
        target, file = captions_are_in(opened, out, writes) if not edit.origin and opened else ("txt", None)
        if not writes and target == "jsonl" and opened[0].containers:
            options = replace(options, paths="key")  # for a table that nobody will write
        out = file if out is None else out
    if column is None and target in ("jsonl", "csv"):
        column = caption_column(_table(target, out, sources[0]) if sources else Path())

    def run_of(number: int) -> Run:
        settings = Settings(edit=replace(edit, round=edit.round + number), policy="overwrite")
        return Run(sources, settings, out, target or "txt", column or "text", kind, shard_size, options, selection)

    run = next_round(run_of)
    _say_what_stays(run)
    return run


def _say_what_stays(run: Run) -> None:
    """Tell people of the tags that trainers read along with the captions of kohya's files."""
    target = run.target
    if isinstance(target, KohyaTable) and "tags" in target.columns and run.column != "tags" and run.settings.edit:
        if run.settings.edit.steps:
            logger.warning("the captions are edited; the tags in the same file stay: --column tags edits those")


def _table(target: str, out: str | PathLike[str] | None, source: str | PathLike[str]) -> Path:
    """Where the table of an edit is, if it is there already."""
    path = Path(source if out is None else out)
    if out is None and path.is_file():
        path = path.parent
    if not path.is_dir():
        return path
    usual = path / {"jsonl": "metadata.jsonl", "csv": "captions.csv"}[target]
    if usual.exists():
        return usual
    kinds = {name: next(metadata_in(path, (name,)), None) for name in METADATA_FILES.values()}
    return kinds[METADATA_FILES[target]] or (target == "jsonl" and kinds[METADATA_FILES["csv"]]) or usual


def editor_of(run: Run) -> Editor:
    """The editor of a run; see `open_edit`. Raises RequestError: the texts cannot be found."""
    return _editor(run, partial(counts_of_run, run.folder), partial(categories_of_run, run.folder))


def work(run: Run, watch: Watch | None = None, retry_failed: bool = False, workers: int = 1) -> Any:
    """Edit what is left of a run, and report; see `Run.work`.

    workers: processes; see `work_in_processes`.

    Raises RequestError also as `editor_of`.
    """
    editor = editor_of(run)  # now: what is wrong with it should be known before anything is written
    if workers != 1:
        return work_in_processes(run, partial(_loader, run.folder), count_tokens, workers, watch, retry_failed)
    return run.work(lambda: editor, count_tokens, watch, retry_failed)


def _loader(run: Path, _: int) -> Callable[[], Editor]:
    """Opens the editor of a run in one of several processes; pickled."""
    return partial(_reopened, run)


def _reopened(run: Path) -> Editor:
    return editor_of(Run.reopened(run))


def differences(run: Run) -> Iterator[Difference]:
    """What an edit would do to each picture of its sources, of which it writes nothing."""
    editor = _editor(run, count_tags, partial(recorded_categories, run.folder.parent))
    for item in run.items():
        found = difference(editor, item, run.existing(item))
        problem = run.target.refusal(item) if found.is_written else ""
        yield replace(found, problem=problem, is_written=False) if problem else found


def difference(editor: Editor, item: Item, there: ExistingText | None) -> Difference:
    """What an edit would do to a picture. there: its text so far, as `Run.existing` gives it."""
    if item.problem:
        return Difference(item.key, problem=item.problem)
    try:
        before = editor.before(item, None if there is None else there.raw)
        after = editor.after(item, before)
    except UnreadableTextError as error:
        return Difference(item.key, problem=str(error))
    has_mark = there is not None and there.raw.startswith("\ufeff")
    is_new = there is None or not there.in_target or there.text != after or has_mark and editor.is_tidy
    is_written = after is not None and is_new
    return Difference(item.key, before, after, is_written=is_written)


def _editor(
    run: Run, count: Callable[[Iterator[str]], Mapping[str, int]], categories: Callable[[], Mapping[str, str]]
) -> Editor:
    """The editor of a run.

    Args:
        count: how often tags are in texts; called if a step asks for it.
        categories: which tags are characters; the same.
    """
    if run.settings.edit is None:
        raise AssertionError("the run is no edit")

    def counts() -> Mapping[str, int]:
        return count(texts_before(editor, run.items(), lambda item: _raw(run.existing(item))))

    editor = Editor(run.settings.edit, run.sources, run.column if run.column != "text" else "", counts, categories)
    return editor


def _raw(there: ExistingText | None) -> str | None:
    return None if there is None else there.raw
