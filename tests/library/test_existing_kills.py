"""`kill -9` at any moment of a run over captions that are there: none lost, doubled or cut, and every byte put back."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

from .waiting import LAST_RESORT

pytestmark = [
    pytest.mark.slow,
    pytest.mark.skipif(not hasattr(os, "fork"), reason="this system cannot fork"),
]


@pytest.mark.parametrize(("form", "seed"), [("jsonl", 1), ("parquet", 2), ("tar", 3)])
def test_captions_that_are_there_survive_kills(tmp_path: Path, form: str, seed: int) -> None:
    found = subprocess.run(
        [sys.executable, "-m", "tests.library.killed_existing", str(tmp_path), form, str(seed), "18"],
        cwd=Path(__file__).parents[2], capture_output=True, text=True, timeout=3 * LAST_RESORT,
        env={**os.environ, "OMP_NUM_THREADS": "1"},
    )  # fmt: skip
    assert found.returncode == 0, found.stderr
    assert json.loads(found.stdout) >= 18
