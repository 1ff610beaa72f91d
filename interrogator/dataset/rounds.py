"""The same run asked for again when it is finished: another round, with a folder and an undo of its own."""

from __future__ import annotations

from collections.abc import Callable
from itertools import count

from .run import Run
from .state.revision import Revision
from .state.run_folder import RunFolder


def next_round(run_of: Callable[[int], Run]) -> Run:
    """The first round of a run that is not finished: one that was begun, or a new one.

    run_of: the run of a round, from 0.
    """
    return next(run for run in map(run_of, count()) if not is_finished(run))


def is_finished(run: Run) -> bool:
    """Whether everything of a run is done and reported."""
    done = run.parts.done(run.plan)
    finished = RunFolder(run.folder).finished(Revision.current(run.folder).number)
    return bool(done) and len(done) == len(run.plan.shards) <= finished
