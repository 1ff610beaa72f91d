"""A run in several processes writes what a run of one process writes, also when one of them is killed in the middle."""

from __future__ import annotations

import functools
import json
import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

import interrogator
from interrogator.dataset import Run, work_in_processes
from interrogator.errors import ModelNotFoundError, RequestError, RunStopped

from .stand_in import StandIn, count, draw, left_behind, names, records, run, texts
from .waiting import LAST_RESORT, wait_until

PICTURES = 96  # a third of them each in the folders a, b and c, which is the order of the shards


class Present(StandIn):
    """Leaves a file that names its process when it is loaded.

    Dies at the picture `deadly`. From the folder `held` on it waits, telling how far it is, until `go` is called.
    """

    def __init__(self, started: Path, deadly: str, held: str, rank: int) -> None:
        super().__init__()
        self._started = started
        self._deadly = deadly
        self._held = held
        (started / f"{time.time_ns()}-{rank}-{os.getpid()}").touch()

    def write(self, pictures: Any, progress: Any = None) -> Any:
        keys = [picture.item.key for picture in pictures]
        if self._deadly in keys:
            os.kill(os.getpid(), signal.SIGKILL)
        if self._held and max(keys) > self._held:
            wait_until(_word(self._started).exists, "it goes on", lambda: progress(0, len(keys)))
        return super().write(pictures, progress)


def _word(started: Path) -> Path:
    return started.with_name("go")


def go(started: Path) -> None:
    """Let those go on that are held."""
    _word(started).touch()


def no_models() -> Any:
    raise ModelNotFoundError("the files are not there")


def broken_models() -> Any:
    raise ZeroDivisionError("a bug")


def present(started: Path, deadly: str, held: str, rank: int) -> Any:
    return functools.partial(Present, started, deadly, held, rank)


@pytest.fixture
def started(tmp_path: Path) -> Path:
    folder = tmp_path / "started"
    folder.mkdir()
    return folder


@pytest.fixture
def loaders(started: Path) -> Callable[..., Any]:
    """Loaders by rank, which can be sent to another process."""
    return lambda deadly="", held="": functools.partial(present, started, deadly, held)


def processes(started: Path) -> list[tuple[int, int]]:
    """Rank and number of each process that loaded models, in the order they did."""
    parts = (path.name.split("-") for path in sorted(started.iterdir()))
    return [(int(rank), int(process)) for _, rank, process in parts]


@pytest.mark.parametrize("target", ["txt", "jsonl"])
def test_two_processes_write_what_one_writes_though_one_is_killed(
    tmp_path: Path, started: Path, loaders: Any, target: str
) -> None:
    alone, many = tmp_path / "alone", tmp_path / "many"
    for folder in (alone, many):
        draw(folder, names(PICTURES))
        (folder / "a" / "0003.png").write_bytes(b"no picture")
    single = run(alone, "overwrite", target)
    single.work(StandIn, count)
    killed: list[int] = []
    told: list[tuple[int, int, int]] = []

    def watch(*numbers: int) -> None:
        told.append(numbers)  # type: ignore[arg-type]
        if not killed and numbers[0] > PICTURES // 4:
            killed.append(processes(started)[0][1])
            os.kill(killed[0], signal.SIGKILL)
            go(started)

    both = run(many, "overwrite", target)
    summary = work_in_processes(both, loaders(held="b"), count, 2, watch)
    assert killed and killed[0] != os.getpid()
    ranks = [rank for rank, _ in processes(started)]
    assert sorted(ranks) in ([0, 0, 1], [0, 1, 1]), "two processes, and one in place of the one that was killed"
    assert summary.counts == {"done": PICTURES - 1, "kept": 0, "failed": 1}
    assert summary.report is not None and summary.report.exists() and summary.findings is not None
    assert texts(many) == texts(alone) and records(Run.reopened(both.folder)) == records(single)
    assert not left_behind(many)
    assert {total for _, total, _ in told} == {PICTURES} and told[-1][0] <= PICTURES


def test_a_finished_run_starts_no_process_and_loads_nothing(tmp_path: Path, loaders: Any, started: Path) -> None:
    folder = tmp_path / "pictures"
    draw(folder, names(20))
    run(folder).work(StandIn, count)
    summary = work_in_processes(run(folder), loaders(), count, 2)
    assert summary.counts["done"] == 20 and not processes(started)


def test_there_are_no_more_processes_than_shards(tmp_path: Path, loaders: Any, started: Path) -> None:
    folder = tmp_path / "pictures"
    draw(folder, names(6))
    assert work_in_processes(run(folder, shard_size=3), loaders(), count, 8).counts["done"] == 6
    assert sorted(rank for rank, _ in processes(started)) == [0, 1]


def test_what_stops_a_process_is_told_by_name_and_the_run_goes_on_from_there(
    tmp_path: Path, loaders: Any, started: Path
) -> None:
    folder = tmp_path / "pictures"
    draw(folder, names(PICTURES))

    def stop(done: int, total: int, failed: int) -> None:
        if done:
            raise KeyboardInterrupt

    with pytest.raises(RequestError, match="workers must be at least 1"):
        work_in_processes(run(folder), loaders(), count, 0)
    with pytest.raises(ModelNotFoundError, match="not there"):
        work_in_processes(run(folder), lambda rank: no_models, count, 2)
    with pytest.raises(RunStopped, match="ZeroDivisionError: a bug"):
        work_in_processes(run(folder), lambda rank: broken_models, count, 2)
    with pytest.raises(KeyboardInterrupt):
        work_in_processes(run(folder), loaders(held="b"), count, 2, stop)
    assert len(texts(folder)) <= PICTURES // 3
    with pytest.raises(RunStopped, match="died 5 times without finishing"):
        work_in_processes(run(folder), loaders(deadly="c/0095.png"), count, 2)
    for _, process in processes(started):
        assert not os.path.exists(f"/proc/{process}"), "nobody goes on in secret"
    assert work_in_processes(run(folder), loaders(), count, 2).counts["done"] == PICTURES


_CALLER = """
import functools, sys
from pathlib import Path
from tests.library.stand_in import count, run
from tests.library.test_dataset_processes import present
from interrogator.dataset import work_in_processes

if __name__ == "__main__":
    folder, started, held = Path(sys.argv[1]), Path(sys.argv[2]), sys.argv[3]
    work_in_processes(run(folder, "append"), functools.partial(present, started, "", held), count, 2)
"""


def lives(process: int) -> bool:
    """Whether a process is more than an entry that nobody has asked for its end."""
    try:
        return Path(f"/proc/{process}/stat").read_text(errors="replace").rpartition(")")[2].split()[0] not in "ZX"
    except (FileNotFoundError, ProcessLookupError):
        return False


def test_processes_whose_caller_is_killed_stop_and_nothing_is_doubled(tmp_path: Path, started: Path) -> None:
    quiet, disturbed = tmp_path / "quiet", tmp_path / "disturbed"
    for folder in (quiet, disturbed):
        draw(folder, names(PICTURES))
        for name in names(PICTURES)[::2]:
            (folder / name).with_suffix(".txt").write_text(f"old {name}\n", encoding="utf-8")
    run(quiet, "append").work(StandIn, count)
    script = tmp_path / "caller.py"
    script.write_text(_CALLER, encoding="utf-8")
    root = Path(interrogator.__file__).parents[1]
    environment = {**os.environ, "PYTHONPATH": os.pathsep.join([str(root), os.environ.get("PYTHONPATH", "")])}
    command = [sys.executable, str(script), str(disturbed), str(started)]
    for number, held in enumerate("bc", start=1):
        before = len(texts(disturbed))
        caller = subprocess.Popen([*command, held], env=environment, cwd=root)

        def works(caller: subprocess.Popen[bytes] = caller, begun: int = 2 * number, before: int = before) -> bool:
            assert caller.poll() is None, "it ended by itself"
            return len(processes(started)) == begun and len(texts(disturbed)) > before

        wait_until(works, "both processes caption")
        caller.kill()
        caller.wait()
        wait_until(lambda: not any(lives(process) for _, process in processes(started)), "those stop whom nobody hears")
        assert len(texts(disturbed)) < PICTURES
    subprocess.run([*command, ""], env=environment, cwd=root, check=True, timeout=LAST_RESORT)
    assert texts(disturbed) == texts(quiet)


@pytest.mark.models
@pytest.mark.slow
def test_the_command_starts_as_many_as_it_is_told(tmp_path: Path) -> None:
    for seed in range(8):
        interrogator.demo.creature(seed)[0].save(tmp_path / f"{seed}.png")
    command = [sys.executable, "-m", "interrogator", "caption", str(tmp_path), "--preset", "demo", "--device", "cpu"]
    environment = {**os.environ, "INTERROGATOR_HOME": str(tmp_path / "home")}
    done = subprocess.run(
        [*command, "--workers", "2", "--shard-size", "2", "--json"], capture_output=True, text=True, env=environment
    )
    assert done.returncode == 0, done.stderr
    assert done.stderr.startswith("device cpu, processes 2\n")
    assert json.loads(done.stdout)["done"] == 8
    assert len(texts(tmp_path)) == 8
    command += ["--workers", "2", "--rank", "0", "--world-size", "2"]
    refused = subprocess.run(command, capture_output=True, text=True, env=environment)
    assert refused.returncode == 2 and "--workers starts processes here" in refused.stderr
