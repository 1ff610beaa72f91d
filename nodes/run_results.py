"""What a dataset run says on its node: how it stands, what failed, and the captions."""

from __future__ import annotations

from collections.abc import Iterator
from itertools import islice
from typing import TYPE_CHECKING

from ..interrogator.dataset.sources.unread import remedy
from .result_box import Result

if TYPE_CHECKING:
    from ..interrogator.dataset import Run, Summary
    from ..interrogator.dataset.records import Record

# Pictures that have a page in the box; the report has all.
_MOST_FAILED, _MOST_CAPTIONS = 20, 60
# What the library says to people at a command line, and what it is called here.
_HERE = {"with --retry-failed": "with `retry failed` on", ", or write elsewhere with --out": ""}


def report(run: Run, summary: Summary) -> str:
    """The state of a run, what failed by name, and its findings, as text."""
    counts = summary.counts
    lines = [
        f"{counts['done']} captioned, {counts['kept']} kept, {counts['failed']} failed, of {summary.total} pictures."
    ]
    if summary.edited and run.settings.policy == "overwrite":
        verb = "was" if summary.edited == 1 else "were"
        lines.append(f"{summary.edited} {verb} edited since and left so: switch on `again` to caption anew.")
    left_out = run.left_out()
    if left_out.masks:
        lines.append(f"{sum(left_out.masks.values())} masks and controls left out.")
    lines += [f"{count} {ending} passed over: {remedy(ending)}." for ending, count in left_out.unread.items()]
    lines += [f"{printable(record.key)}: {reason_of(record.reason)}" for record in islice(_failed(run), _MOST_FAILED)]
    if counts["failed"] > _MOST_FAILED:
        lines.append(f"And {counts['failed'] - _MOST_FAILED} more failed; they are in the report.")
    if summary.findings is not None:
        lines += [f"{finding.title}: {finding.count}. {reason_of(finding.text)}" for finding in summary.findings.found]
    captions = counts["done"] + counts["kept"]
    if captions > _MOST_CAPTIONS:
        lines.append(f"The next pages show {_MOST_CAPTIONS} of {captions} captions; all are in the report.")
    return "\n".join(lines)


def of_pictures(run: Run) -> list[Result]:
    """A result for each picture that failed, then for each caption, the first of both."""
    failed = [
        Result(title=printable(record.key), failure=reason_of(record.reason))
        for record in islice(_failed(run), _MOST_FAILED)
    ]
    captions = [
        Result(printable(record.caption), title=printable(record.key))
        for record in islice(_captioned(run), _MOST_CAPTIONS)
    ]
    return failed + captions


def reason_of(sentence: str) -> str:
    """A sentence of the library's as a node says it."""
    for there, here in _HERE.items():
        sentence = sentence.replace(there, here)
    return printable(sentence)


def _failed(run: Run) -> Iterator[Record]:
    return run.parts.failed(run.parts.done(run.plan))


def _captioned(run: Run) -> Iterator[Record]:
    return (record for record in run.parts.records(run.parts.done(run.plan)) if record.status != "failed")


def printable(text: str) -> str:
    """Text that goes into JSON as UTF-8: a file name may hold bytes that are none."""
    return text.encode("utf-8", "replace").decode()
