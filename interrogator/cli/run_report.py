"""What commands say of how a run stands."""

from __future__ import annotations

import argparse

from ..dataset import LeftOut, Run, Summary
from .terminal import printable, put, put_json, say

# Failures that are named at the end; the report names all.
_NAMED = 20


def report(args: argparse.Namespace, run: Run, summary: Summary, sentence: str) -> int:
    """Name what failed and say how the run stands; a sentence for people, the numbers with --json.

    Returns the exit status.
    """
    failed = _name_failed(run)
    if args.json:
        left_out = run.left_out().as_dict()
        page = None if summary.report is None else printable(summary.report)
        put_json(
            {
                "run": printable(summary.run),
                "total": summary.total,
                **summary.counts,
                "report": page,
                "left_out": left_out,
            }
        )
        return 1 if failed else 0
    say_left_out(run.left_out())
    say(sentence)
    if summary.report:
        put(printable(summary.report))
    return 1 if failed else 0


def say_left_out(left_out: LeftOut) -> None:
    """Say what of the sources was not taken."""
    for sentence in left_out.sentences():
        say(printable(sentence))


def _name_failed(run: Run) -> int:
    """Name the first pictures that failed; how many did in all."""
    failed = 0
    for failed, record in enumerate(run.parts.failed(run.parts.done(run.plan)), start=1):
        if failed <= _NAMED:
            say(f"interrogator: {printable(record.key)}: {record.reason}")
    if failed > _NAMED:
        say(f"and {failed - _NAMED} more, listed in the report")
    return failed
