"""Runs one benchmark in this process and saves its result."""

from __future__ import annotations

import datetime
import logging
import sys
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from importlib import import_module
from pathlib import Path

from benchmarks import machine
from benchmarks.plan import WORKS, Task
from benchmarks.results import Result
from benchmarks.sizes import Sizes


def run(
    work: str, model: str, device: str, pairs: int | None, steps: int, sizes: Sizes, collected: Path
) -> tuple[Result, Path]:
    """Run a benchmark; returns its result and the file in which it is saved."""
    with _quiet(), tempfile.TemporaryDirectory(prefix="benchmarks-") as scratch:
        task = Task(work, model, device, pairs, steps, sizes, Path(scratch))
        result: Result = import_module(f"benchmarks.works.{WORKS[work].module}").run(task)
    if not all(check.passed for check in result.checks):
        for row in result.rows:
            row.reached = False  # a ratio of two different things means nothing
    result.date = datetime.date.today().isoformat()
    result.machine, result.versions = machine.describe(), machine.versions()
    return result, result.save(collected)


@contextmanager
def _quiet() -> Iterator[None]:
    """Suppress open_clip's warnings about random weights, which are intended here."""
    root = logging.getLogger()
    level = root.level
    root.setLevel(logging.ERROR)
    try:
        yield
    finally:
        root.setLevel(level)


def report(result: Result) -> None:
    """Print a result to stderr."""
    lines = [f"  {row.work}: {row.measured}" + (f" (asked: {row.asked})" if row.asked else "") for row in result.rows]
    lines += [f"  FAILED: {check.text}" for check in result.checks if not check.passed]
    if result.skipped:
        lines.append(f"  skipped: {result.skipped}")
    sys.stderr.write("".join(f"{line}\n" for line in lines))
    sys.stderr.flush()
