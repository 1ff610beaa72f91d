"""A run on several workers with Ray Data: the shards of its plan, its parts and its target, in other processes.

The driver, which is whoever calls, holds the run's folder, makes the plan, shows progress, and writes tables and
report. Each worker opens the run by its folder, loads the models once and captions a few shards at a time with the code
that a single process uses. What is done stands in the run's parts, never in Ray: the shards that a dying worker had in
hand are given to another, which passes over those that are done; a driver that dies is started again and goes on.

Every machine of a cluster needs this library, and the run's sources and folders at the same paths, on storage that all
of them share.
"""

from __future__ import annotations

import logging
import math
import os
import shutil
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any
from uuid import uuid4

from ... import errors
from ...errors import InterrogatorError, RequestError, RunStopped
from ..captioning.loader import Loader, loader_for
from ..state.run_folder import stopping_cleanly
from .progress_poll import ProgressPoll

if TYPE_CHECKING:
    from ..run import Captions, Run
    from ..state.plan import Shard

# A worker reads the pictures of its next shard while the models work on one: only within what it got in one go.
_AT_ONCE = 8
# So many portions for each worker at least, that all of them end at about the same time.
_PORTIONS = 4
# Ray starts workers again as often as they die. A portion that so many of them did not survive is not tried again; a
# worker may also be lost with its machine, so one is not enough.
_TRIES = 5
_PRESENCE = "ray-{}"
_CHECK_SECONDS = 1.0  # between two checks of a worker that its driver is there
_OBJECT_STORE = 128 << 20  # bytes: only the numbers of shards go through it


@dataclass(frozen=True)
class RayWorkers:
    """An engine for `Run.work`: workers on this machine, or on the cluster that RAY_ADDRESS names.

    Attributes:
        workers: at most; None is one for each GPU, or one for each machine where there is none.
        say: called once with a sentence about the workers.
    """

    workers: int | None = None
    say: Callable[[str], None] | None = None

    def __post_init__(self) -> None:
        """Raises RequestError: fewer than one worker, or Ray Data is not installed."""
        if self.workers is not None and self.workers < 1:
            raise RequestError(f"workers must be at least 1, not {self.workers}")
        _ray()

    def __call__(
        self, run: Run, shards: Sequence[Shard], models: Callable[[], Captions], count: Callable[[str], int],
        add: Callable[[int, int], None], threads: int | None,
    ) -> None:  # fmt: skip
        """Caption shards of a run that is planned and held by this process.

        Args:
            models: loads what writes captions; pickled, and called once in each worker.
            count: tokens of a text; pickled, too.
            add: called several times a second with the pictures done since, and those of them that failed; may raise
                to stop the work.
            threads: image-reading threads of each worker; None is one for each of its processors.

        Raises:
            RequestError: there are fewer processors than workers.
            RunStopped: a machine does not see the run's folder, or five workers died of the same shards.
            What `models` and the disk raise in a worker.
        """
        with _started() as ray:
            share = _share(ray, self.workers)
            if self.say:
                self.say(share.described())
            portions = _portions(shards, share.workers)
            with ProgressPoll() as poll, _present(run.folder.absolute()) as presence:
                job = _Job(presence, models, count, threads or share.cpus)
                poll.report(lambda: _rows(ray, portions, job, share), add)


@dataclass(frozen=True)
class _Job:
    """What a worker gets when it starts."""

    presence: Path
    models: Callable[[], Captions]
    count: Callable[[str], int]
    threads: int


@dataclass(frozen=True)
class _Share:
    """The workers, and the processors and GPUs of each."""

    workers: int
    cpus: int
    gpus: int

    def described(self) -> str:
        """One sentence for people."""
        gpus = "a GPU and " if self.gpus else ""
        return f"Ray: {self.workers} workers, each with {gpus}{self.cpus} processors"


class _Worker:
    """An actor of Ray Data: opens the run and loads the models when it first has something to caption."""

    def __init__(self, job: _Job) -> None:
        self._job = job
        self._run: Run | None = None
        self._models: dict[bool, Captions] = {}  # by whether they write

    def __call__(self, portion: dict[str, Any]) -> dict[str, list[Any]]:
        """Caption the shards of one portion, which is one row; returns pictures and failures, or why there are none.

        What is raised here would reach the driver as text only, so what it should know by name is returned.
        """
        pictures = failed = 0
        name = reason = ""
        try:
            pictures, failed = self._captioned([int(number) for number in portion["shards"][0]])
        except InterrogatorError as error:
            name, reason = type(error).__name__, str(error)
        return {"pictures": [pictures], "failed": [failed], "name": [name], "reason": [reason]}

    def _captioned(self, numbers: Sequence[int]) -> tuple[int, int]:
        from ..run import Run

        job = self._job
        if not job.presence.exists():
            raise RunStopped(f"{job.presence} does not exist here: all machines of a cluster need shared storage")
        with stopping_cleanly(job.presence), _tried(job.presence, numbers):
            self._run = self._run or Run.reopened(job.presence.parent)
            models = Loader(lambda only: self._loaded(only is None))
            return self._run.caption(numbers, models, job.count, job.threads, _DriverWatch(job.presence))

    def _loaded(self, writes: bool) -> Captions:
        """The models, which stay; those that write check, too."""
        if True in self._models:
            return self._models[True]
        if writes not in self._models:
            self._models = {writes: loader_for(self._job.models, writes)()}
        return self._models[writes]


class _DriverWatch:
    """A watch that stops a worker whose driver is gone."""

    def __init__(self, presence: Path) -> None:
        self._presence = presence
        self._checked_at = time.monotonic()

    def __call__(self, *_: int) -> None:
        if time.monotonic() - self._checked_at > _CHECK_SECONDS:
            self._checked_at = time.monotonic()
            if not self._presence.exists():
                raise RunStopped("the run was stopped")


@contextmanager
def _present(run: Path) -> Iterator[Path]:
    """A folder that is there as long as this driver wants its workers to work; earlier drivers' workers stop, too."""
    for old in run.glob(_PRESENCE.format("*")):
        shutil.rmtree(old, ignore_errors=True)
    folder = run / _PRESENCE.format(uuid4().hex[:8])
    folder.mkdir()
    try:
        yield folder
    finally:
        shutil.rmtree(folder, ignore_errors=True)


@contextmanager
def _tried(folder: Path, numbers: Sequence[int]) -> Iterator[None]:
    """Count, in a file that outlives this process, how often a worker began these shards without ending them.

    Raises:
        RunStopped: that was too often.
    """
    file = folder / f"{numbers[0]:05d}"
    with open(file, "ab") as tries:
        tries.write(b".")
        count = tries.tell()
    if count > _TRIES:
        raise RunStopped(
            f"{_TRIES} workers died of one of the shards {numbers[0]} to {numbers[-1]}, perhaps for lack of memory; "
            "finished captions are kept"
        )
    try:
        yield
    finally:
        file.unlink(missing_ok=True)


def _ray() -> Any:
    # Read at import: Ray sends no usage reports unless somebody asked for them.
    os.environ.setdefault("RAY_USAGE_STATS_ENABLED", "0")
    try:
        import ray.data
    except ImportError as error:
        raise RequestError(f"Ray Data is not installed; pip install image-interrogator[ray] ({error})") from error
    return ray


@contextmanager
def _started() -> Iterator[Any]:
    """The Ray that is running, the cluster of RAY_ADDRESS, or a new one here; what was started here is shut down."""
    ray = _ray()
    if ray.is_initialized():
        yield ray
        return
    quiet = {"logging_level": "ERROR", "log_to_driver": False}
    if os.environ.get("RAY_ADDRESS"):
        ray.init(**quiet)
    else:
        ray.init(address="local", include_dashboard=False, object_store_memory=_OBJECT_STORE, **quiet)
    try:
        yield ray
    finally:
        ray.shutdown()


def _share(ray: Any, asked: int | None) -> _Share:
    """A GPU for each worker where there are any, and an equal share of the processors."""
    machines = [node["Resources"] for node in ray.nodes() if node["Alive"] and node["Resources"].get("CPU", 0) >= 1]
    with_gpu = [machine for machine in machines if machine.get("GPU", 0) >= 1]
    if with_gpu:
        gpus = sum(int(machine["GPU"]) for machine in with_gpu)
        each = min(int(machine["CPU"] // machine["GPU"]) for machine in with_gpu)
        return _Share(min(asked or gpus, gpus), max(1, each), 1)
    if not machines:
        raise RunStopped("Ray has no processors for workers")
    workers = asked or len(machines)
    cpus = min(int(machine["CPU"]) for machine in machines) // math.ceil(workers / len(machines))
    if cpus < 1:
        raise RequestError(f"Ray has too few processors for {workers} workers")
    return _Share(workers, cpus, 0)


def _portions(shards: Sequence[Shard], workers: int) -> list[list[int]]:
    """The numbers of shards, a few at a time."""
    size = max(1, min(_AT_ONCE, len(shards) // (workers * _PORTIONS)))
    numbers = [shard.number for shard in shards]
    return [numbers[start : start + size] for start in range(0, len(numbers), size)]


def _rows(ray: Any, portions: list[list[int]], job: _Job, share: _Share) -> Iterator[tuple[int, int]]:
    """Caption portions on the workers; pictures and failures of each as it is done. Raises what a worker reported."""
    done = ray.data.from_items([{"shards": portion} for portion in portions], override_num_blocks=len(portions))
    done = done.map_batches(
        _Worker,
        batch_size=1,
        compute=ray.data.ActorPoolStrategy(min_size=1, max_size=share.workers, initial_size=share.workers),
        fn_constructor_args=(job,),
        num_cpus=share.cpus,
        num_gpus=share.gpus or None,
    )
    logging.getLogger("ray.data").setLevel(logging.ERROR)  # we show progress ourselves
    done.context.enable_progress_bars = False
    done.context.print_on_execution_start = False
    for row in done.iter_rows():
        if row["name"]:
            raise getattr(errors, row["name"], RunStopped)(row["reason"])
        yield int(row["pictures"]), int(row["failed"])
