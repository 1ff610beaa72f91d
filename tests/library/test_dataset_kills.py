"""`kill -9` at any moment: no caption lost, doubled or cut, and at most a shard's work done twice."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

from .waiting import LAST_RESORT

ROOT = Path(__file__).parents[2]

pytestmark = [
    pytest.mark.slow,
    pytest.mark.skipif(not hasattr(os, "fork"), reason="this system cannot fork"),
]


def killed(*arguments: object) -> dict[str, int]:
    """What `killed_runs` counts. It forks, so it is a process without the threads that pytest and torch may have."""
    found = subprocess.run(
        [sys.executable, "-m", "tests.library.killed_runs", *map(str, arguments)],
        cwd=ROOT, capture_output=True, text=True, timeout=3 * LAST_RESORT, env={**os.environ, "OMP_NUM_THREADS": "1"},
    )  # fmt: skip
    assert found.returncode == 0, found.stderr
    told: dict[str, int] = json.loads(found.stdout)
    return told


def say(text: str) -> None:
    """Shown by `pytest -s` or `-rP`."""
    sys.stdout.write(f"kills: {text}\n")


@pytest.mark.parametrize(
    ("policy", "target", "ranks", "seed"),
    [("overwrite", "txt", 1, 1), ("append", "txt", 1, 2), ("append", "txt", 2, 3), ("overwrite", "jsonl", 1, 4),
     ("append", "jsonl", 2, 5)],
)  # fmt: skip
def test_runs_killed_at_random_moments_end_as_undisturbed_ones(
    tmp_path: Path, policy: str, target: str, ranks: int, seed: int
) -> None:
    told = killed("random", tmp_path, policy, target, ranks, seed, 16)
    assert told["kills"] >= 16
    say(f"{policy} {target} by {ranks}: {told}")


@pytest.mark.parametrize(("policy", "target"), [("overwrite", "txt"), ("append", "txt"), ("append", "jsonl")])
def test_a_run_killed_before_any_single_operation_on_the_disk_goes_on(tmp_path: Path, policy: str, target: str) -> None:
    told = killed("each", tmp_path, policy, target, "work")
    assert told["kills"] >= 50
    say(f"{policy} {target} run: {told}")


@pytest.mark.parametrize("target", ["txt", "jsonl"])
def test_an_undo_killed_before_any_single_operation_on_the_disk_goes_on(tmp_path: Path, target: str) -> None:
    told = killed("each", tmp_path, "append", target, "undo")
    assert told["kills"] >= 8
    say(f"append {target} undo: {told}")
