"""Runs in forked processes that are killed with SIGKILL; started by test_dataset_kills in a process without threads.

    python -m tests.library.killed_runs random FOLDER POLICY TARGET RANKS SEED LEAST
    python -m tests.library.killed_runs each FOLDER POLICY TARGET work|undo

Prints what it counted as JSON; ends with an error if a caption was lost, doubled or cut.
"""

from __future__ import annotations

import json
import os
import random
import shutil
import signal
import sys
import time
import traceback
from collections.abc import Callable
from pathlib import Path
from typing import Any

from tests.library.stand_in import StandIn, count, draw, left_behind, names, records, run, texts

_SHARD = 8
_PICTURES = 200
_SECONDS = 0.002  # that a caption takes
_LONGEST = 0.6  # that a process lives before it is killed, at first
# Each of these is a moment at which something on the disk changes, or is about to.
_OPERATIONS = ("replace", "link", "fsync", "unlink", "rename", "mkdir")


def forked(action: Callable[[], Any]) -> int:
    """Start a process that does this and ends with 0."""
    pid = os.fork()
    if pid:
        return pid
    status = 3
    try:
        action()
        status = 0
    except BaseException:  # noqa: BLE001  the parent sees the status, a person the text
        traceback.print_exc()
    finally:
        os._exit(status)


def was_killed(pid: int) -> bool:
    """Wait for a process; whether it was killed. It may end in no third way."""
    _, status = os.waitpid(pid, 0)
    if os.WIFSIGNALED(status):
        assert os.WTERMSIG(status) == signal.SIGKILL
        return True
    assert os.WEXITSTATUS(status) == 0, "a process failed"
    return False


def prepared(folder: Path, pictures: int, target: str) -> dict[str, bytes]:
    """A folder of pictures, some of which have a caption already; those captions."""
    draw(folder, names(pictures))
    captioned = names(pictures)[::3]
    if target == "jsonl":  # with a column of its own
        rows = [{"file_name": name, "text": f"old words {name}", "mine": 1} for name in captioned]
        (folder / "metadata.jsonl").write_text("".join(json.dumps(row) + "\n" for row in rows), encoding="utf-8")
        return texts(folder)
    for name in captioned:
        (folder / name).with_suffix(".txt").write_text(f"old words {name}\n", encoding="utf-8")
    return texts(folder)


def undisturbed(folder: Path, policy: str, target: str, shard: int) -> tuple[dict[str, bytes], list[dict[str, Any]]]:
    found = run(folder, policy, target, shard)
    assert found.work(StandIn, count).report is not None
    return texts(folder), records(found)


def check(now: dict[str, bytes], before: dict[str, bytes], after: dict[str, bytes]) -> None:
    """Every caption file is as it was before the run, or as it is after it."""
    assert before.keys() <= now.keys() <= after.keys()
    for name, data in now.items():
        assert data in (before.get(name), after[name]), (name, data)


def killed_at_random(
    folder: Path, policy: str, target: str, ranks: int, rng: random.Random
) -> tuple[int, int]:  # fmt: skip
    """Kill a run at random moments until it is finished; how often it was killed, and captions made twice."""
    before = prepared(folder / "disturbed", _PICTURES, target)
    prepared(folder / "quiet", _PICTURES, target)
    after, expected = undisturbed(folder / "quiet", policy, target, _SHARD)
    disturbed, log = folder / "disturbed", folder / "log"

    def work(rank: int) -> None:
        run(disturbed, policy, target, _SHARD).work(
            lambda: StandIn(log, _SECONDS), count, lambda done, total, failed: None, False, rank, ranks, 2
        )

    kills, killed, longest = 0, [True], _LONGEST
    while any(killed):
        began = time.monotonic()
        started = [forked(lambda rank=rank: work(rank)) for rank in range(ranks)]  # type: ignore[misc]
        ends = [began + rng.uniform(0.01, longest) for _ in started]
        for pid, end in sorted(zip(started, ends, strict=True), key=lambda pair: pair[1]):
            time.sleep(max(0.0, end - time.monotonic()))
            os.kill(pid, signal.SIGKILL)  # one that has ended waits to be asked how
        killed = [was_killed(pid) for pid in started]
        kills += sum(killed)
        longest *= 1.1  # on a busy machine, too, there is an end
        check(texts(disturbed), before, after)
    captioned = log.read_text(encoding="utf-8").splitlines()
    twice = len(captioned) - len(set(captioned))
    assert twice <= kills * _SHARD, (twice, kills)
    assert texts(disturbed) == after
    assert (run(disturbed, policy, target, _SHARD).folder / "report.html").exists()
    assert records(run(disturbed, policy, target, _SHARD)) == expected
    # The last of several processes leaves alone what is younger than itself: it cannot know whose it is.
    assert ranks > 1 or not left_behind(disturbed)
    return kills, twice


def at_random(folder: Path, policy: str, target: str, ranks: int, seed: int, least: int) -> dict[str, int]:
    """Runs killed until there were `least` kills in all."""
    rng = random.Random(seed)
    found = {"kills": 0, "runs": 0, "captions made twice": 0}
    while found["kills"] < least:
        kills, twice = killed_at_random(folder / str(found["runs"]), policy, target, ranks, rng)
        found = {"kills": found["kills"] + kills, "runs": found["runs"] + 1,
                 "captions made twice": found["captions made twice"] + twice}  # fmt: skip
    return found


def kill_before(number: int, action: Callable[[], Any]) -> None:
    """Do this, but be killed before the operation on the disk that has this number."""
    seen = 0

    def counted(real: Callable[..., Any]) -> Callable[..., Any]:
        def operation(*given: Any, **named: Any) -> Any:
            nonlocal seen
            seen += 1
            if seen == number:
                os.kill(os.getpid(), signal.SIGKILL)
            return real(*given, **named)

        return operation

    for name in _OPERATIONS:
        setattr(os, name, counted(getattr(os, name)))
    action()


def at_each(folder: Path, policy: str, target: str, doing: str) -> dict[str, int]:
    """A small run, or its undo, killed before every single operation on the disk, then done again."""
    pictures, shard = 7, 3
    before = prepared(folder / "start", pictures, target)
    shutil.copytree(folder / "start", folder / "quiet")
    after, expected = undisturbed(folder / "quiet", policy, target, shard)
    kills = 0
    while True:
        here = folder / "here"
        shutil.copytree(folder / "start", here)
        if doing == "undo":
            undisturbed(here, policy, target, shard)

        def act(here: Path = here) -> None:
            found = run(here, policy, target, shard)
            assert not found.undo() if doing == "undo" else found.work(StandIn, count).report

        killed = was_killed(forked(lambda number=kills + 1, act=act: kill_before(number, act)))  # type: ignore[misc]
        if not killed:
            return {"kills": kills}
        kills += 1
        check(texts(here), before, after)
        if doing == "work":
            was_killed(forked(act))
            assert records(run(here, policy, target, shard)) == expected
            assert texts(here) == after
            assert not left_behind(here)
        else:
            if run(here, policy, target, shard).folder.exists():  # else the last step was done
                was_killed(forked(act))
            assert texts(here) == before
        shutil.rmtree(here)


if __name__ == "__main__":
    kind, where, *rest = sys.argv[1:]
    if kind == "random":
        told = at_random(Path(where), rest[0], rest[1], int(rest[2]), int(rest[3]), int(rest[4]))
    else:
        told = at_each(Path(where), rest[0], rest[1], rest[2])
    sys.stdout.write(json.dumps(told))
