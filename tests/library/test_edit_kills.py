"""`kill -9` at any moment of an edit: no caption lost, doubled or cut, and an undo gives back every byte."""

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


def kills(*arguments: object) -> int:
    """How many kills `killed_edits` did. It forks, so it is a process without the threads of pytest."""
    found = subprocess.run(
        [sys.executable, "-m", "tests.library.killed_edits", *map(str, arguments)],
        cwd=ROOT, capture_output=True, text=True, timeout=3 * LAST_RESORT, env={**os.environ, "OMP_NUM_THREADS": "1"},
    )  # fmt: skip
    assert found.returncode == 0, found.stderr
    told: int = json.loads(found.stdout)
    return told


@pytest.mark.parametrize(("target", "seed"), [("txt", 1), ("jsonl", 2), ("parquet", 3), ("webdataset", 4)])
def test_edits_killed_at_random_moments_end_as_undisturbed_ones_and_are_undone(
    tmp_path: Path, target: str, seed: int
) -> None:
    assert kills("random", tmp_path, target, seed, 8) >= 8


@pytest.mark.parametrize("target", ["txt", "jsonl"])
def test_an_edit_killed_before_any_single_operation_on_the_disk_goes_on(tmp_path: Path, target: str) -> None:
    assert kills("each", tmp_path, target, "work") >= 30


@pytest.mark.parametrize("target", ["txt", "jsonl", "webdataset"])
def test_an_undo_of_an_edit_killed_before_any_operation_goes_on(tmp_path: Path, target: str) -> None:
    assert kills("each", tmp_path, target, "undo") >= 4
