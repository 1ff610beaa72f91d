"""Runs over datasets that have captions already, killed with SIGKILL; started by test_existing_kills.

    python -m tests.library.killed_existing FOLDER FORM SEED LEAST

Prints how many kills there were as JSON; ends with an error if a caption was lost, doubled or cut, the source was
changed, or an undo is not exact.
"""

from __future__ import annotations

import io
import json
import os
import random
import signal
import sys
import tarfile
import time
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq

from interrogator.dataset import CaptionRules, Run, Settings
from tests.library.killed_edits import there
from tests.library.killed_runs import forked, was_killed
from tests.library.stand_in import StandIn, count, draw, left_behind, names, records

_PICTURES = 120
_SECONDS = 0.001  # that a caption takes


def prepared(folder: Path, form: str) -> Path:
    """A source of pictures, most of which have one or two captions; where it is."""
    draw(folder / "set", names(_PICTURES))
    said = {name: [f"old {name}", f"more {name}"][: 1 + index % 3 // 2] for index, name in enumerate(names(_PICTURES))
            if index % 4}  # fmt: skip
    if form == "jsonl":
        rows = [{"mine": 1, "file_name": name, "text": texts} for name, texts in said.items()]
        text = "\r\n".join(map(json.dumps, [*rows[:2], *rows]))  # some have two rows
        (folder / "set" / "metadata.jsonl").write_bytes(text.encode())
        return folder / "set"
    data = {name: (folder / "set" / name).read_bytes() for name in names(_PICTURES)}
    if form == "parquet":
        images = [{"bytes": each, "path": name} for name, each in data.items()]
        table = pa.table({"image": images, "text": pa.array([said.get(name) for name in data], pa.list_(pa.string()))})
        pq.write_table(table, folder / "set.parquet", row_group_size=50)
        return folder / "set.parquet"
    with tarfile.open(folder / "set.tar", "w") as tar:
        for name, each in data.items():
            pieces = {name: each}
            if name in said:
                is_list = len(said[name]) > 1
                text = json.dumps({"caption": said[name]}) if is_list else said[name][0]
                pieces[name.replace(".png", ".json" if is_list else ".txt")] = text.encode()
            for path, piece in pieces.items():
                info = tarfile.TarInfo(path)
                info.size = len(piece)
                tar.addfile(info, io.BytesIO(piece))
    return folder / "set.tar"


def asked(folder: Path, form: str) -> Run:
    source = folder / {"jsonl": "set", "parquet": "set.parquet", "tar": "set.tar"}[form]
    out = None if form == "jsonl" else folder / "out"
    target = {"jsonl": "jsonl", "parquet": "parquet", "tar": "webdataset"}[form]
    settings = Settings(policy="append", rules=CaptionRules(trigger="sks"))
    return Run([source], settings, out, target, shard_size=8)


def killed_at_random(folder: Path, form: str, rng: random.Random) -> int:
    """Kill a run at random moments until it is finished, then undo it; how often it was killed."""
    here, quiet = folder / "here", folder / "quiet"
    for each in (here, quiet):
        prepared(each, form)
    before, own = there(here), asked(here, form).folder
    asked(quiet, form).work(StandIn, count)
    after = there(quiet)
    expected = records(asked(quiet, form))
    assert all(each["caption"].count("sks") == 1 + each["caption"].count("\n") for each in expected)
    kills, killed, longest = 0, True, 0.15
    while killed:
        pid = forked(lambda: asked(here, form).work(lambda: StandIn(seconds=_SECONDS), count))
        time.sleep(rng.uniform(0.01, longest))
        os.kill(pid, signal.SIGKILL)
        killed = was_killed(pid)
        kills += killed
        longest *= 1.1
        now = there(here)
        for name, data in now.items():
            assert data in (before.get(name), after.get(name)) or name in after, name
    assert records(asked(here, form)) == expected
    assert there(here) == after and not left_behind(here)
    killed, longest = True, 0.02
    while killed and own.exists():  # the undo is killed, too
        pid = forked(lambda: undone(own))
        time.sleep(rng.uniform(0.0, longest))
        os.kill(pid, signal.SIGKILL)
        killed = was_killed(pid)
        kills += killed
        longest *= 1.5
    assert there(here) == before and not left_behind(here)
    return kills


def undone(own: Path) -> None:
    assert Run.reopened(own).undo() == []


if __name__ == "__main__":
    where, kind, seed, least = sys.argv[1:]
    generator, total, runs = random.Random(int(seed)), 0, 0
    while total < int(least):
        total += killed_at_random(Path(where) / str(runs), kind, generator)
        runs += 1
    sys.stdout.write(json.dumps(total))
