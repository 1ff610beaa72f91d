"""Edits in forked processes that are killed with SIGKILL; started by test_edit_kills in a process without threads.

    python -m tests.library.killed_edits random FOLDER TARGET SEED LEAST
    python -m tests.library.killed_edits each FOLDER TARGET work|undo

Prints how many kills there were as JSON; ends with an error if a caption was lost, doubled or cut, or an undo is not
exact.
"""

from __future__ import annotations

import json
import os
import random
import shutil
import signal
import sys
import time
from pathlib import Path

from interrogator.dataset import Run
from interrogator.dataset.editing.edit import Edit
from interrogator.dataset.editing.runs import open_edit, work
from tests.library.killed_runs import forked, kill_before, was_killed
from tests.library.stand_in import draw, left_behind, names

# Neither of the first two may be done twice to one text, which would show.
_EDIT = Edit(
    (
        ("replace-regex", r"\A", "x"), ("order", "frequency"), ("order", "characters"), ("case", "upper"),
        ("trigger", "sks"),
    )
)  # fmt: skip
_FILES = (".txt", ".jsonl", ".parquet", ".tar")


def prepared(folder: Path, pictures: int, target: str) -> None:
    """Pictures, most of which have a caption, in as many forms as people have them."""
    draw(folder, names(pictures))
    endings = ("\n", "", "\r\n", " \n\n")
    captioned = [name for number, name in enumerate(names(pictures)) if number % 4]
    if target == "jsonl":
        rows = [{"mine": 1, "file_name": name, "text": f"old, words {name}, old"} for name in captioned]
        text = "".join(json.dumps(row, indent=None) + "\r\n" for row in [*rows[:3], *rows])  # some have two rows
        (folder / "metadata.jsonl").write_bytes(text.encode())
    for number, name in enumerate(captioned if target != "jsonl" else ()):
        mark = "\ufeff" if number % 3 == 0 else ""
        (folder / name).with_suffix(".txt").write_bytes(
            f"{mark}old, words {name}, old{endings[number % len(endings)]}".encode()
        )


def opened(folder: Path, target: str, shard: int) -> Run:
    out = None if target in ("txt", "jsonl") else folder / "out"
    return open_edit([folder], _EDIT, out, target, kind="folder", shard_size=shard)


def begun(own: Path) -> Run | None:
    """The run in a folder; None if it has not begun. A finished edit that is asked for again would be another run."""
    return Run.reopened(own) if (own / "run.json").exists() else None


def there(folder: Path) -> dict[str, bytes]:
    """Every caption file, runs' own folders aside."""
    paths = (path for path in folder.rglob("*") if path.suffix in _FILES and ".interrogator" not in path.parts)
    return {path.relative_to(folder).as_posix(): path.read_bytes() for path in paths}


def captions(folder: Path, target: str, shard: int) -> list[tuple[str, str | None]]:
    """What the target has of every picture."""
    found = opened(folder, target, shard)
    return [(item.key, found.target.existing(item)) for item in found.items()]


def check(now: dict[str, bytes], before: dict[str, bytes], after: dict[str, bytes]) -> None:
    """Every file of one caption is as it was, or as it will be; those of many are compared when the run is over."""
    for name, data in now.items():
        if name.endswith(".txt"):
            assert data in (before.get(name), after[name]), (name, data)
    assert before.keys() <= now.keys()


def at_random(folder: Path, target: str, seed: int, least: int) -> int:
    """Edits killed at random moments until there were `least` kills, each then finished and undone."""
    rng, kills, runs = random.Random(seed), 0, 0
    while kills < least:
        here, quiet = folder / f"{runs}", folder / f"{runs}-quiet"
        runs += 1
        for each in (here, quiet):
            prepared(each, 160, target)
        before = there(here)
        work(opened(quiet, target, 8))
        after, expected = there(quiet), captions(quiet, target, 8)
        longest, killed, own = 0.12, True, opened(here, target, 8).folder
        while killed:
            pid = forked(lambda here=here, own=own: work(begun(own) or opened(here, target, 8)))  # type: ignore[misc]
            time.sleep(rng.uniform(0.01, longest))
            os.kill(pid, signal.SIGKILL)
            killed = was_killed(pid)
            kills += killed
            longest *= 1.15
            check(there(here), before, after)
        assert captions(here, target, 8) == expected
        if target != "parquet":  # in which paths differ
            assert there(here) == after
        assert not left_behind(here)
        assert Run.reopened(own).undo() == []
        assert there(here) == before
    return kills


def at_each(folder: Path, target: str, doing: str) -> int:
    """A small edit, or its undo, killed before every single operation on the disk, then done again."""
    prepared(folder / "start", 5, target)
    before = there(folder / "start")
    shutil.copytree(folder / "start", folder / "quiet")
    work(opened(folder / "quiet", target, 3))
    after, kills = there(folder / "quiet"), 0
    while True:
        here = folder / "here"
        shutil.copytree(folder / "start", here)
        own = opened(here, target, 3).folder
        if doing == "undo":
            work(opened(here, target, 3))

        def act(here: Path = here, own: Path = own) -> None:
            found = begun(own) or opened(here, target, 3)
            assert found.undo() == [] if doing == "undo" else work(found).report

        killed = was_killed(forked(lambda number=kills + 1, act=act: kill_before(number, act)))  # type: ignore[misc]
        if not killed:
            return kills
        kills += 1
        check(there(here), before, after)
        if doing == "work":
            was_killed(forked(act))
            if target != "parquet":
                assert there(here) == after
            assert not left_behind(here)
            Run.reopened(own).undo()
        elif own.exists():  # else the last step was done
            was_killed(forked(act))
        assert there(here) == before
        shutil.rmtree(here)


if __name__ == "__main__":
    kind, where, *rest = sys.argv[1:]
    told = at_random(Path(where), rest[0], int(rest[1]), int(rest[2])) if kind == "random" else at_each(
        Path(where), rest[0], rest[1]
    )  # fmt: skip
    sys.stdout.write(json.dumps(told))
