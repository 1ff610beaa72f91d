"""Requests in flight: several at a time, answers in order, cancelled within a second."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from concurrent.futures import FIRST_COMPLETED, Executor, Future, wait
from typing import TypeVar

from ...progress import Progress
from .connection import Call

Answered = TypeVar("Answered")

POLL_SECONDS = 0.1
"""Time between two calls of a progress while nothing is answered."""


def send_all(
    pool: Executor,
    tasks: Sequence[Sequence[Callable[[Call], Answered]]],
    progress: Progress | None,
) -> list[list[Answered]]:
    """What each task of each image answers.

    Args:
        pool: threads for them; how many the server gets at a time is its own business.
        tasks: of each image; called with what knows when to give up.
        progress: called with (done, total) images several times a second, in this thread; may raise to cancel.

    Raises what a task raises; the others are given up.
    """
    call = Call()
    futures = [[pool.submit(task, call) for task in some] for some in tasks]
    pending = {future for some in futures for future in some}
    try:
        _report(futures, progress)
        while pending:
            answered, pending = wait(pending, POLL_SECONDS, FIRST_COMPLETED)
            for future in answered:
                future.result()
            call.close_overdue()
            _report(futures, progress)
    finally:
        call.end()
        for future in pending:
            future.cancel()
    return [[future.result() for future in some] for some in futures]


def _report(futures: Sequence[Sequence[Future[Answered]]], progress: Progress | None) -> None:
    if progress is not None:
        progress(sum(all(future.done() for future in some) for some in futures), len(futures))
