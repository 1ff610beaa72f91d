"""What commands say of how a run stands."""

from __future__ import annotations

import argparse

from ..dataset import LeftOut, Run, Summary
from .target_options import tell_setting
from .terminal import printable, put, put_json, say

_ODD = {
    "not_utf8": "not in UTF-8", "byte_order_mark": "with a byte order mark", "several_lines": "of several lines",
}  # fmt: skip
"""What trainers stumble over, by the id of its finding."""
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
        answer = {"run": printable(summary.run), "total": summary.total, **summary.counts, "edited": summary.edited}
        odd = {name: count for name, count in _odd_texts(summary).items() if count}
        masked = {"without_mask": whole} if run.settings.masked else {}
        put_json({**answer, **odd, "report": page, "left_out": run.left_out().as_dict(), **masked})
        return 1 if failed else 0
    say_left_out(run.left_out())
    if whole:
        say(f"{whole} pictures have no mask and were captioned whole")
    say(sentence)
    tell_setting(run)
    for name, count in _odd_texts(summary).items():
        if count:
            say(f"{count} {'caption' if count == 1 else 'captions'} {_ODD[name]}: see the report")
    if summary.report:
        put(printable(summary.report))
    return 1 if failed else 0


def _without_mask(run: Run, summary: Summary) -> int:
    """How many pictures had no mask where masks were looked at, as far as the run is finished."""
    found = summary.findings.found if summary.findings and run.settings.masked else ()
    return sum(finding.count for finding in found if finding.id == "no_mask")


def _odd_texts(summary: Summary) -> dict[str, int]:
    found = {} if summary.findings is None else {each.id: each.count for each in summary.findings.found}
    return {name: found.get(name, 0) for name in _ODD}


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
