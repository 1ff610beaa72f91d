"""What a run did not take of its sources, as findings."""

from __future__ import annotations

from ...sources.selection import LeftOut
from .finding import Finding


def findings_of_left_out(left_out: LeftOut) -> list[Finding]:
    """A finding without keys for files that were passed over, and one for what was left out on purpose."""
    unread, chosen = LeftOut(unread=left_out.unread), LeftOut(left_out.excluded, left_out.masks)
    passed, left = sum(unread.unread.values()), chosen.excluded + sum(chosen.masks.values())
    found = [
        Finding("passed_over", "Files passed over", "note", _text(unread), passed),
        Finding("left_out", "Pictures left out", "note", _text(chosen), left),
    ]
    return [finding for finding in found if finding.count]


def _text(left_out: LeftOut) -> str:
    return ". ".join(each[:1].upper() + each[1:] for each in left_out.sentences()) + "."
