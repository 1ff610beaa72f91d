"""The options of `interrogator edit`."""

from __future__ import annotations

import argparse
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from ..banks import load_block_list
from ..dataset.editing.operations import OPERATIONS
from ..dataset.editing.origins import PLACES
from ..dataset_choices import SOURCE_KINDS, TARGET_KINDS
from . import options
from .selection_options import add_selection
from .target_options import add_target_options

_CHOICES = {"underscores": "spaces|underscores", "case": "lower|upper|title|sentence", "order": "ORDER"}


class Step(argparse.Action):
    """Adds a step to `args.steps`: what stands first on the command line is done first."""

    def __call__(
        self, parser: argparse.ArgumentParser, namespace: argparse.Namespace, values: Any, option: str | None = None
    ) -> None:
        given = [values] if isinstance(values, str) else list(values or ())
        namespace.steps = [*namespace.steps, *self._steps(self.dest, given)]

    def _steps(self, name: str, given: Sequence[str]) -> list[tuple[str, ...]]:
        if name == "with":
            return [(name, str(Path(given[0]).absolute()))]
        return [(name, *given)]


class _FirstList(Step):
    """One step for all lines of a file."""

    def _steps(self, name: str, given: Sequence[str]) -> list[tuple[str, ...]]:
        return [("tags-first", ", ".join(load_block_list(given[0])))]


class _BlockList(Step):
    """A step for each line of a file."""

    def _steps(self, name: str, given: Sequence[str]) -> list[tuple[str, ...]]:
        return [("block", words) for words in load_block_list(given[0])]


_LISTS = {"block": _BlockList, "tags-first": _FirstList}


def add_options(parser: argparse.ArgumentParser) -> None:
    """All of them."""
    parser.add_argument(
        "sources", nargs="*", metavar="SOURCE", help="folder, tar, parquet file, or list of paths; local or URL"
    )
    options.add_json(parser)
    add_selection(parser)
    _add_texts(parser.add_argument_group("where captions are"))
    add_target_options(parser.add_argument_group("what is written"))
    _add_steps(parser.add_argument_group("what is done", "In the order of the options; each is repeatable."))
    _add_running(parser.add_argument_group("running"))


def _add_texts(group: argparse._ArgumentGroup) -> None:
    group.add_argument(
        "--target", choices=TARGET_KINDS, metavar="KIND",
        help=f"what to write: {', '.join(TARGET_KINDS)} (default: where the captions are; txt with --from)",
    )  # fmt: skip
    group.add_argument("--out", metavar="DIR", help="folder for the captions (default: beside the pictures)")
    group.add_argument(
        "--from", dest="origin", default="", metavar="WHERE",
        help=f"read captions there: {PLACES}, or a table or folder (default: the target, else whatever there is)",
    )  # fmt: skip
    group.add_argument(
        "--column",
        metavar="NAME",
        help="column for captions in a table (default: text); tags edits those of kohya's files",
    )
    group.add_argument(
        "--kind", choices=SOURCE_KINDS, metavar="KIND",
        help=f"what the sources are: {', '.join(SOURCE_KINDS)} (default: detected)",
    )  # fmt: skip
    group.add_argument(
        "--lines-to-list", dest="several", action="store_true",
        help="each line of a text is a caption of its own: targets that have lists get one (default: one text, unless "
        "the trainer reads lists)",
    )  # fmt: skip
    group.add_argument(
        "--encoding", default="", metavar="NAME", help="encoding of captions that are not UTF-8, such as cp1252"
    )
    options.add_separator(group, "text between tags that are put together")


def _add_steps(group: argparse._ArgumentGroup) -> None:
    for name, row in OPERATIONS.items():
        nargs: dict[str, Any] = {"nargs": len(row.arguments)} if len(row.arguments) != 1 else {}
        if row.arguments:
            nargs["metavar"] = row.arguments if len(row.arguments) > 1 else _CHOICES.get(name, row.arguments[0])
        group.add_argument(
            f"--{name}", action=Step, dest=name, default=argparse.SUPPRESS, help=row.help.replace("%", "%%"), **nargs
        )
        if name in _LISTS:
            group.add_argument(
                f"--{name}-list", action=_LISTS[name], dest=f"{name}-list", default=argparse.SUPPRESS, metavar="FILE",
                help="the same with every line of FILE",
            )  # fmt: skip
    group.set_defaults(steps=[])


def _add_running(group: argparse._ArgumentGroup) -> None:
    group.add_argument("--dry-run", action="store_true", help="show what would change, and change nothing")
    group.add_argument(
        "--stats", action="store_true", help="count tags, words, lengths and pictures without caption; change nothing"
    )
    group.add_argument("--top", type=int, default=50, metavar="N", help="tags and words in --stats (default: 50)")
    group.add_argument("--retry-failed", action="store_true", help="retry captions that failed in an earlier run")
    group.add_argument(
        "--undo", type=Path, metavar="RUN", help="put captions back as they were before the run in this folder"
    )
    group.add_argument(
        "--shard-size", type=int, default=64, metavar="N",
        help="captions per shard; a crash repeats at most one shard (default: 64)",
    )  # fmt: skip
    group.add_argument(
        "--workers", type=int, default=1, metavar="N",
        help="number of processes, worth it from about ten thousand captions on (default: 1)",
    )  # fmt: skip
