"""`--replace OLD NEW`, and `--replace OLD=NEW` as it was written first."""

from __future__ import annotations

import argparse
import os
from collections.abc import Sequence
from typing import Any


def add_replacement(group: argparse._ArgumentGroup, option: str, old: str, text: str) -> None:
    """An option for pairs of an old and a new text. What follows them on the line goes to `args.more_sources`."""
    group.add_argument(
        option, action=_Replacement, nargs="+", default=[], metavar=(old, "NEW"),
        help=f"{text}; {old}=NEW does the same",
    )  # fmt: skip
    group.set_defaults(more_sources=[])


class _Replacement(argparse.Action):
    def __call__(
        self, parser: argparse.ArgumentParser, namespace: argparse.Namespace, values: Any, option: str | None = None
    ) -> None:
        pair, others = _pair(values)
        if pair is None:
            raise argparse.ArgumentError(self, f"expected OLD NEW, or OLD=NEW, not {values[0]!r}")
        setattr(namespace, self.dest, [*getattr(namespace, self.dest), pair])
        namespace.more_sources = [*namespace.more_sources, *others]


def _pair(values: Sequence[str]) -> tuple[tuple[str, str] | None, Sequence[str]]:
    """The pair that the words behind the option begin with, and the words that are left; None where there is none.

    `a=b` and a source, or nothing, is the short form; `a=b c` with no such source replaces `a=b` by `c`.
    """
    old, equals, new = values[0].partition("=")
    is_short = bool(equals and old)
    if len(values) > 1 and not (is_short and _is_source(values[1])):
        return ((values[0], values[1]) if values[0] else None), values[2:]
    return ((old, new) if is_short else None), values[1:]


def _is_source(word: str) -> bool:
    return os.path.exists(word) or "://" in word or word.endswith((".tar", ".parquet"))
