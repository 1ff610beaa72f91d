"""What commands say of a run's failures."""

from __future__ import annotations

from ..dataset import Run
from .terminal import printable, say

# Failures that are named at the end; the report names all.
_NAMED = 20


def name_failed(run: Run) -> int:
    """Name the first pictures that failed; how many did in all."""
    failed = 0
    for failed, record in enumerate(run.parts.failed(run.parts.done(run.plan)), start=1):
        if failed <= _NAMED:
            say(f"interrogator: {printable(record.key)}: {record.reason}")
    if failed > _NAMED:
        say(f"and {failed - _NAMED} more, listed in the report")
    return failed
