"""What a run costs beside its models: planning many pictures, taking up a finished run again, memory."""

from __future__ import annotations

import io
import json
import subprocess
import sys
import time
from concurrent.futures import ProcessPoolExecutor
from multiprocessing import get_context
from pathlib import Path

from PIL import Image

from benchmarks import models
from benchmarks.plan import Task
from benchmarks.results import Check, Result, Row
from benchmarks.timing import peak_memory
from benchmarks.works import sides
from benchmarks.works.captions import WORDS
from interrogator.dataset import Models, Run, Settings, count_tokens
from interrogator.dataset.editing.edit import Edit
from interrogator.dataset.editing.runs import open_edit, work
from interrogator.dataset.targets import TargetOptions

_PLAN_SECONDS, _RESUME_SECONDS, _GROWTH, _EDIT_GROWTH = 10.0, 5.0, 1.05, 1.3
_SIDE, _IN_A_FOLDER, _DIFFERENT = 32, 1000, 64
_TOKENS = 8


def run(task: Task) -> Result:
    """Run over few and over many pictures, each in a process of its own, then ask for the latter once more."""
    blip = task.scratch / "blip"
    models.write_blip(blip, WORDS, task.model)
    few, many = task.sizes.few, task.sizes.many
    folders = {count: task.scratch / f"pictures-{count}" for count in (few, many)}
    results = {}
    for count, folder in folders.items():
        draw(folder, count)
        with ProcessPoolExecutor(1, mp_context=get_context("spawn")) as fresh:
            results[count] = fresh.submit(captioned, folder, task.scratch / f"out-{count}", blip).result()
    plan_seconds, done, peak = results[many]
    first_peak = results[few][2]
    again = [taken_up(folders[many], task.scratch / f"out-{many}", blip) for _ in range(3)]
    resumed = [seconds for seconds, _ in again]
    edits = {}
    for count, folder in folders.items():
        with ProcessPoolExecutor(1, mp_context=get_context("spawn")) as fresh:
            edits[count] = fresh.submit(edited, folder, task.scratch / f"out-{count}", task.scratch / f"edit-{count}")
    (_, few_edited, few_peak), (edit_seconds, many_edited, many_peak) = edits[few].result(), edits[many].result()
    edit_growth = many_peak / few_peak if many_peak and few_peak else float("nan")
    growth = peak / first_peak if peak and first_peak else float("nan")
    result = sides.empty(task)
    result.rows = [
        _row(f"plan {many:,} pictures", "under 10 s", f"{plan_seconds:.1f} s", plan_seconds < _PLAN_SECONDS),
        _row(
            f"take up a finished run of {many:,} pictures, the whole command", "under 5 s",
            f"{sorted(resumed)[1]:.1f} s ({min(resumed):.1f} to {max(resumed):.1f}, 3 times)",
            max(resumed) < _RESUME_SECONDS,
        ),
        _row(
            f"memory from {few:,} to {many:,} pictures", "flat",
            f"{growth:.2f}x ({(first_peak or 0) / 1e6:.0f} to {(peak or 0) / 1e6:.0f} MB at the most)",
            growth < _GROWTH,
        ),
        _row(
            f"edit {many:,} captions and convert them to metadata.jsonl", "flat memory",
            f"{edit_seconds:.1f} s, {edit_growth:.2f}x the memory of {few:,} ({(many_peak or 0) / 1e6:.0f} MB)",
            edit_growth < _EDIT_GROWTH,
        ),
    ]  # fmt: skip
    result.checks.append(Check("all of them were edited", (few_edited, many_edited) == (few, many)))
    result.checks.append(Check(f"all {few + many:,} pictures were captioned", done + results[few][1] == few + many))
    result.checks.append(Check("the command found them all done", {count for _, count in again} == {many}))
    result.notes.append(
        f"JPEG pictures of {_SIDE} x {_SIDE} pixels in folders of {_IN_A_FOLDER:,}, {_DIFFERENT} different ones; a tiny"
        " captioner. Memory is that of a process that plans, captions and reports, including torch. The goals are"
        " absolute times, so these are times, not ratios."
    )
    result.raw = {
        "edit": edit_seconds,
        "edit peaks": [few_peak, many_peak],
        "plan": plan_seconds,
        "resumed": resumed,
        "peaks": [first_peak, peak],
    }
    return result


def captioned(folder: Path, out: Path, blip: Path) -> tuple[float, int, int | None]:
    """Caption a folder in this process: seconds for the plan, pictures captioned, peak memory in bytes."""
    settings = _settings(blip)
    began = time.perf_counter()
    run = Run([folder], settings, out)
    run.prepare()
    plan_seconds = time.perf_counter() - began
    done = run.work(lambda: Models.load(settings, "cpu"), count_tokens).counts["done"]
    return plan_seconds, done, peak_memory()


def edited(folder: Path, captions: Path, out: Path) -> tuple[float, int, int | None]:
    """Edit captions in this process: seconds, captions edited, peak memory in bytes."""
    began = time.perf_counter()
    steps = (("trigger", "sks"), ("unique",), ("order", "frequency"), ("token-limit", "75"))
    options = TargetOptions(paths="key")  # for a table that is beside no picture
    done = work(open_edit([folder], Edit(steps, origin=str(captions)), out, "jsonl", options=options)).counts["done"]
    return time.perf_counter() - began, done, peak_memory()


def taken_up(folder: Path, out: Path, blip: Path) -> tuple[float, int]:
    """Seconds of the command for a run that is finished, and how many pictures that run captioned."""
    command = [sys.executable, "-m", "interrogator", "caption", str(folder), "--out", str(out), "--preset", "demo"]
    command += ["--captioner", str(blip), "--max-caption-tokens", str(_TOKENS), "--json"]
    began = time.perf_counter()
    output = subprocess.run(command, check=True, capture_output=True).stdout
    return time.perf_counter() - began, json.loads(output)["done"]


def draw(folder: Path, count: int) -> None:
    """Small pictures of noise, which costs nothing to draw."""
    pictures = []
    for number in range(_DIFFERENT):
        data = io.BytesIO()
        Image.effect_noise((_SIDE, _SIDE), 40 + number).convert("RGB").save(data, "JPEG")
        pictures.append(data.getvalue())
    for number in range(count):
        path = folder / f"{number // _IN_A_FOLDER:03d}" / f"{number:06d}.jpg"
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(pictures[number % _DIFFERENT])


def _settings(blip: Path) -> Settings:
    return Settings(preset="demo", captioner=str(blip), max_new_tokens=_TOKENS)


def _row(work: str, asked: str, measured: str, reached: bool) -> Row:
    return Row(f"a dataset run: {work}", asked, measured, reached)
