"""A run in several processes of this machine, one for each GPU: each captions every n-th shard, as in a job array.

Whoever calls writes the plan, starts the processes, adds up what they tell, and starts one again that died. They hold
the run's folder themselves, so nobody else can take it while one of them lives, whatever became of the caller.
"""

from __future__ import annotations

import os
import signal
from collections.abc import Callable
from multiprocessing import get_context
from multiprocessing.connection import Connection, wait
from multiprocessing.context import SpawnProcess
from typing import TYPE_CHECKING, Any, NamedTuple

from ... import errors
from ...errors import InterrogatorError, RequestError, RunStopped
from ..finish import Summary
from ..progress import Watch

if TYPE_CHECKING:
    from ..run import Captions, Run

# A process that dies so often without having finished anything in between is not started again.
_TRIES = 5
_LOOK = 0.2  # seconds between two words to the watcher
_PATIENCE = 60.0  # seconds that processes have to stop by themselves

Loader = Callable[[], "Captions"]


class _Told(NamedTuple):
    """How far a process is: pictures that are through, and those of them that failed."""

    done: int
    failed: int


class _Raised(NamedTuple):
    """What ended a process: the name of an error of ours, and its text."""

    name: str
    reason: str


def work_in_processes(
    run: Run, models: Callable[[int], Loader], count: Callable[[str], int], workers: int, watch: Watch | None = None,
    retry_failed: bool = False, threads: int | None = None,
) -> Summary:  # fmt: skip
    """`Run.work` in several processes of this machine.

    Args:
        models: what process number n loads its models with, such as on the n-th GPU; pickled, as `count` is.
        workers: how many processes at most; no more than there are shards left.
        threads: of each process that read pictures; None is an equal share of the processors.

    A script that calls this guards its own code by `if __name__ == "__main__"`, as for `multiprocessing`.

    Raises:
        RequestError: fewer than one worker, or what `Run.work` raises.
        RunStopped: a process died again and again, or the disk is full or gone.
        What the loaders and the watcher raise.
    """
    if workers < 1:
        raise RequestError(f"there has to be at least 1 worker, not {workers}")
    if workers == 1:
        return run.work(models(0), count, watch, retry_failed, threads=threads)
    size = min(workers, run.prepare(retry_failed))
    if size < 2:  # what is left is soon done here
        return run.work(models(0), count, watch, threads=threads)
    share = max(1, (os.cpu_count() or 1) // size)
    total = sum(shard.count for shard in run.plan.shards)
    ranks = [_Rank(run, rank, size, models(rank), count, threads or share, share) for rank in range(size)]
    try:
        for rank in ranks:
            rank.start()
        while working := [rank for rank in ranks if rank.summary is None]:
            heard = wait([rank.connection for rank in working], _LOOK)
            for rank in working:
                if rank.connection in heard:
                    rank.hear()
            if watch:
                watch(sum(rank.done for rank in ranks), total, sum(rank.failed for rank in ranks))
    finally:
        for rank in ranks:
            rank.stop()
    # The one that finished last found nothing left, and wrote tables and report.
    return max((rank.summary for rank in ranks if rank.summary), key=lambda summary: summary.report is not None)


class _Rank:
    """One process, seen from the one that started it."""

    def __init__(
        self, run: Run, rank: int, size: int, models: Loader, count: Callable[[str], int], threads: int, share: int
    ) -> None:
        self._rank = rank
        self._given = (run.folder, rank, size, models, count, threads, share)
        self._run = run
        self._deaths = self._stood = 0  # since shards were last finished, and how many were then
        self.connection: Connection
        self._process: SpawnProcess | None = None
        self.done = self.failed = 0
        self.summary: Summary | None = None

    def start(self) -> None:
        context = get_context("spawn")  # a forked process could not use the GPU
        self.connection, theirs = context.Pipe(duplex=False)
        self._process = context.Process(target=_work, args=(theirs, *self._given), name=f"rank {self._rank}")
        self._process.start()
        theirs.close()

    def hear(self) -> None:
        """Take what the process says next; start it again if it died. Raises what it raised."""
        try:
            told = self.connection.recv()
        except (EOFError, OSError):
            self._start_again()
            return
        if isinstance(told, Summary):
            self.summary = told
        elif isinstance(told, _Raised):
            raise getattr(errors, told.name, RunStopped)(told.reason)
        else:
            self.done, self.failed = told

    def stop(self) -> None:
        """See to it that the process ends: it stops at the next word that nobody hears."""
        if self._process is None:  # it was not started
            return
        self.connection.close()
        self._process.join(_PATIENCE)
        if self._process.is_alive():
            self._process.kill()
            self._process.join()

    def _start_again(self) -> None:
        assert self._process is not None
        self._process.join()
        stands = len(self._run.parts.done(self._run.plan))
        self._deaths = 1 if stands > self._stood else self._deaths + 1
        self._stood = stands
        if self._deaths == _TRIES:
            raise RunStopped(
                f"process {self._rank} died {_TRIES} times without getting on (last with exit status "
                f"{self._process.exitcode}), perhaps for want of memory; what is done is kept"
            )
        self.start()


def _work(
    caller: Connection, folder: Any, rank: int, size: int, models: Loader, count: Callable[[str], int], threads: int,
    share: int,
) -> None:  # fmt: skip
    """One process: caption its shards; tell the caller how far it is, then how the run stands or what was raised."""
    from ..run import Run

    signal.signal(signal.SIGINT, signal.SIG_IGN)  # the caller is told, too, and hangs up

    def tell(done: int, total: int, failed: int) -> None:
        try:
            caller.send(_Told(done, failed))
        except OSError as error:
            raise RunStopped("the run was stopped") from error

    def load() -> Captions:
        import torch  # only where something is left to caption

        torch.set_num_threads(share)
        return models()

    try:
        caller.send(Run.reopened(folder).work(load, count, tell, rank=rank, world_size=size, threads=threads))
    except InterrogatorError as error:
        _send(caller, _Raised(type(error).__name__, str(error)))
    except Exception as error:
        _send(caller, _Raised("RunStopped", f"process {rank}: {type(error).__name__}: {error}"))
        raise


def _send(caller: Connection, told: Any) -> None:
    try:
        caller.send(told)
    except OSError:
        return  # nobody is there to hear it
