"""A run in several processes of this machine, one for each GPU: each captions every n-th shard, as in a job array.

The caller writes the plan, starts the processes, adds up their progress, and restarts one that died. The processes hold
the run's folder themselves, so nobody else can take it while one of them lives, whatever became of the caller.
"""

from __future__ import annotations

import os
import signal
from collections.abc import Callable
from contextlib import suppress
from multiprocessing import get_context
from multiprocessing.connection import Connection, wait
from multiprocessing.context import SpawnProcess
from typing import TYPE_CHECKING, Any, NamedTuple

from ... import errors
from ...errors import InterrogatorError, RequestError, RunStopped
from ..captioning.loader import Loader, loader_for
from ..finish import Summary
from ..progress import Watch

if TYPE_CHECKING:
    from ..run import Captions, Run

# A process that dies so often without finishing a shard in between is not restarted.
_TRIES = 5
_POLL_SECONDS = 0.2  # between two calls of the watcher
_STOP_SECONDS = 60.0  # that processes have to stop by themselves

Load = Callable[[], "Captions"]


class _Progress(NamedTuple):
    """How far a process is: pictures that are done, and those of them that failed."""

    done: int
    failed: int


class _Raised(NamedTuple):
    """The error that ended a process: its name in `interrogator.errors`, and its text."""

    name: str
    reason: str


def work_in_processes(
    run: Run, models: Callable[[int], Load], count: Callable[[str], int], workers: int, watch: Watch | None = None,
    retry_failed: bool = False, threads: int | None = None,
) -> Summary:  # fmt: skip
    """`Run.work` in several processes of this machine.

    Args:
        models: `models(n)` loads the models of process n, such as on the n-th GPU; pickled, as `count` is.
        workers: processes at most; no more than there are shards left.
        threads: image-reading threads of each process; None is an equal share of the processors.

    A script that calls this guards its own code by `if __name__ == "__main__"`, as for `multiprocessing`.

    Raises:
        RequestError: fewer than one worker, or what `Run.work` raises.
        RunStopped: a process keeps dying, or the disk is full or gone.
        What the loaders and the watcher raise.
    """
    if workers < 1:
        raise RequestError(f"workers must be at least 1, not {workers}")
    if workers == 1:
        return run.work(models(0), count, watch, retry_failed, threads=threads)
    size = min(workers, run.prepare(retry_failed))
    if size < 2:  # one process is enough for the rest
        return run.work(models(0), count, watch, threads=threads)
    share = max(1, (os.cpu_count() or 1) // size)
    total = sum(shard.count for shard in run.plan.shards)
    ranks = [_Rank(run, rank, size, models(rank), count, threads or share, share) for rank in range(size)]
    try:
        for rank in ranks:
            rank.start()
        while working := [rank for rank in ranks if rank.summary is None]:
            ready = wait([rank.connection for rank in working], _POLL_SECONDS)
            for rank in working:
                if rank.connection in ready:
                    rank.receive()
            if watch:
                watch(sum(rank.done for rank in ranks), total, sum(rank.failed for rank in ranks))
    finally:
        for rank in ranks:
            rank.stop()
    # The process that finished last found nothing left, and wrote tables and report.
    return max((rank.summary for rank in ranks if rank.summary), key=lambda summary: summary.report is not None)


class _Rank:
    """One process, from the side of the caller."""

    def __init__(
        self, run: Run, rank: int, size: int, models: Load, count: Callable[[str], int], threads: int, share: int
    ) -> None:
        self._rank = rank
        self._given = (run.folder, rank, size, models, count, threads, share)
        self._run = run
        self._deaths = 0  # since a shard was last finished
        self._shards_done = 0  # then
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

    def receive(self) -> None:
        """Take the next message of the process; restart it if it died. Raises what it raised."""
        try:
            message = self.connection.recv()
        except (EOFError, OSError):
            self._restart()
            return
        if isinstance(message, Summary):
            self.summary = message
        elif isinstance(message, _Raised):
            raise getattr(errors, message.name, RunStopped)(message.reason)
        else:
            self.done, self.failed = message

    def stop(self) -> None:
        """End the process: it stops when its next message finds no reader."""
        if self._process is None:  # it was not started
            return
        self.connection.close()
        self._process.join(_STOP_SECONDS)
        if self._process.is_alive():
            self._process.kill()
            self._process.join()

    def _restart(self) -> None:
        assert self._process is not None
        self._process.join()
        shards_done = len(self._run.parts.done(self._run.plan))
        self._deaths = 1 if shards_done > self._shards_done else self._deaths + 1
        self._shards_done = shards_done
        if self._deaths == _TRIES:
            raise RunStopped(
                f"process {self._rank} died {_TRIES} times without finishing a shard (last exit status "
                f"{self._process.exitcode}), perhaps for lack of memory; finished captions are kept"
            )
        self.start()


def _work(
    caller: Connection, folder: Any, rank: int, size: int, own: Load, count: Callable[[str], int], threads: int,
    share: int,
) -> None:  # fmt: skip
    """One process: caption its shards; send the caller its progress, then the summary or what was raised."""
    from ..run import Run

    signal.signal(signal.SIGINT, signal.SIG_IGN)  # the caller gets it, too, and closes the connection

    def report(done: int, total: int, failed: int) -> None:
        try:
            caller.send(_Progress(done, failed))
        except OSError as error:
            raise RunStopped("the run was stopped") from error

    def load(writes: bool) -> Captions:
        if run.settings.edit is None:
            import torch  # only where something is left to caption

            torch.set_num_threads(share)
        found: Captions = loader_for(own, writes)()
        return found

    try:
        run = Run.reopened(folder)
        models = Loader(lambda only: load(only is None))
        caller.send(run.work(models, count, report, rank=rank, world_size=size, threads=threads))
    except InterrogatorError as error:
        _send(caller, _Raised(type(error).__name__, str(error)))
    except Exception as error:  # whatever it is, the caller should know, and this process still ends with it
        _send(caller, _Raised("RunStopped", f"process {rank}: {type(error).__name__}: {error}"))
        raise


def _send(caller: Connection, message: Any) -> None:
    with suppress(OSError):  # the caller is gone
        caller.send(message)
