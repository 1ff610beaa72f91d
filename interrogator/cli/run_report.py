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
    whole = _without_mask(run, summary)
    if args.json:
        page = None if summary.report is None else printable(summary.report)
        answer = {"run": printable(summary.run), "total": summary.total, **summary.counts, "report": page}
        masked = {"without_mask": whole} if run.settings.masked else {}
        put_json({**answer, "left_out": run.left_out().as_dict(), **masked})
        return 1 if failed else 0
    say_left_out(run.left_out())
    if whole:
        say(f"{whole} pictures have no mask and were captioned whole")
    say(sentence)
    if summary.report:
        put(printable(summary.report))
    return 1 if failed else 0


def _without_mask(run: Run, summary: Summary) -> int:
    """How many pictures had no mask where masks were looked at, as far as the run is finished."""
    found = summary.findings.found if summary.findings and run.settings.masked else ()
    return sum(finding.count for finding in found if finding.id == "no_mask")


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
