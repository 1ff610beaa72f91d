"""`interrogator edit`: captions that are there, edited without a model."""

from __future__ import annotations

import argparse
import os
import sys

from ..dataset import Run
from ..dataset.editing.edit import Edit
from ..dataset.editing.runs import Difference, differences, open_edit, work
from ..dataset.editing.statistics import Statistics, statistics_of
from ..dataset.targets.trainers import form_of
from ..dataset.text.token_count import count_tokens
from ..dataset_choices import TARGET_KINDS
from ..errors import RequestError
from .run_report import report, say_left_out
from .selection_options import selection
from .target_options import tell_setting, written
from .terminal import PictureBar, printable, put, put_json, say
from .undo import undo

_RED, _GREEN, _PLAIN = "\033[31m", "\033[32m", "\033[0m"


def edit(args: argparse.Namespace) -> int:
    """Edit the captions of the sources, show what that would do, or count what is in them."""
    if args.undo:
        return undo(args)
    run = _open(args)
    if args.stats:
        return _count(args, run)
    if args.dry_run:
        return _show(args, run)
    try:
        with PictureBar() as bar:
            say(f"run {printable(run.folder)}")
            bar.is_shown = True
            summary = work(run, bar, args.retry_failed, args.workers)
    except KeyboardInterrupt:
        say("stopped; finished captions are kept, and the same command continues from there")
        return 130
    counts = summary.counts
    sentence = f"{counts['done']} edited, {counts['kept']} as they were, {counts['failed']} failed"
    return report(args, run, summary, sentence)


def _open(args: argparse.Namespace) -> Run:
    """The run that the options come to. Raises RequestError: they ask for nothing, or do not go together."""
    if args.stats and (args.steps or args.dry_run):
        raise RequestError("--stats counts what is there: leave out --dry-run and what changes captions")
    if not (args.steps or args.stats or args.origin or args.target or args.trainer):
        raise RequestError("say what to do with the captions, such as --trigger WORD or --target jsonl; see --help")
    origin = args.origin
    if origin and origin not in TARGET_KINDS:
        origin = os.path.abspath(origin)
    writes = not (args.stats or args.dry_run)
    target, column, options = written(args, args.several)
    form = form_of(options.trainer, target or "")
    several = args.several or form is not None and form.several == "list"
    edit = Edit(tuple(args.steps), origin, args.separator, args.encoding, several=several)
    return open_edit(
        args.sources, edit, args.out, target, column, args.kind, args.shard_size, writes, options, selection(args)
    )  # fmt: skip


def _show(args: argparse.Namespace, run: Run) -> int:
    """The captions that would change, one picture a block."""
    changes = same = without = failed = 0
    for each in differences(run):
        failed += bool(each.problem)
        without += each.after is None and not each.problem
        changes += each.is_written
        same += each.after is not None and not each.is_written
        if each.problem:
            say(f"interrogator: {printable(each.key)}: {each.problem}")
        elif each.is_written and args.json:
            put_json({"image": printable(each.key), "before": each.before, "after": each.after})
        elif each.is_written:
            _put_block(each)
    say_left_out(run.left_out())
    tell_setting(run)
    say(f"{changes} would change, {same} stay, {without} without caption, {failed} cannot be read")
    return 1 if failed else 0


def _put_block(each: Difference) -> None:
    red, green, plain = (_RED, _GREEN, _PLAIN) if sys.stdout.isatty() and not os.environ.get("NO_COLOR") else ("",) * 3
    put(printable(each.key))
    before, after = ([] if text is None else text.splitlines() or [""] for text in (each.before, each.after))
    if before == after:
        put(f"  {'; '.join(map(printable, after))}")  # only where it stands is new
    else:
        for line in before:
            put(f"{red}- {printable(line)}{plain}")
        for line in after:
            put(f"{green}+ {printable(line)}{plain}")
    put("")


def _count(args: argparse.Namespace, run: Run) -> int:
    """What is in the captions, as tables or as one object."""
    texts = ((each.key, each.before, each.problem) for each in differences(run))
    found = statistics_of(texts, count_tokens, args.top)
    if args.json:
        put_json({**found.as_dict(), "without": [printable(key) for key in found.without]})
        return 0
    _put_counts(found)
    return 0


def _put_counts(found: Statistics) -> None:
    put(f"{found.pictures} pictures, {found.captions} captions, {found.missing} without, {found.empty} empty")
    if found.unreadable:
        put(f"{found.unreadable} cannot be read")
    for key in found.without:
        put(f"  no caption: {printable(key)}")
    if found.missing > len(found.without):
        put(f"  and {found.missing - len(found.without)} more")
    if found.tokens:
        put(
            f"tokens: {found.tokens['least']} to {found.tokens['most']}, median {found.tokens['median']}, "
            f"mean {found.tokens['mean']:.1f}; {found.tokens['over_75']} captions over 75"
        )
    for title, rows in (("tags", found.tags), ("words", found.words)):
        put(f"\n{title}")
        for text, number in rows:
            put(f"{number:>8}  {printable(text)}")
