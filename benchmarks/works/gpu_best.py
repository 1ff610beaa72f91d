"""Best mode on a GPU with the caption given: one picture, and a batch of them."""

from __future__ import annotations

import statistics

from benchmarks import material
from benchmarks.models import clip
from benchmarks.plan import Task
from benchmarks.results import Check, Result, Row
from benchmarks.timing import Clock
from benchmarks.works import sides
from interrogator import EmbeddingCache, Interrogator, load_banks

ASKED_SECONDS = 0.5  # one picture
ASKED_RATE = 5.0  # pictures a second in a batch


def run(task: Task) -> Result:
    """Measure it with the model and the tables loaded; each number is the median of its runs."""
    skipped = sides.why_skipped(task)
    if skipped:
        return sides.empty(task, skipped)
    loaded = clip(task.model).on(task.device)
    encoder = loaded.default_encoder()
    tables = material.write_tables(task.scratch, task.sizes, encoder, loaded.embed_dim)
    ci = Interrogator(None, encoder, load_banks(tables.bank_paths), EmbeddingCache(tables.our_cache))
    images = [material.picture(seed) for seed in range(task.sizes.batch)]
    clock = Clock(task.device)
    ci.interrogate(images[0], "best", material.CAPTION)
    alone = [clock.run(lambda: ci.interrogate(images[0], "best", material.CAPTION)) for _ in range(task.times)]
    batch = [clock.run(lambda: ci.interrogate_many(images, "best", material.CAPTION)) for _ in range(task.times)]
    seconds = statistics.median(run.seconds for run in alone)
    rate = len(images) / statistics.median(run.seconds for run in batch)
    result = sides.empty(task)
    dtypes = ("", sides.dtype_name(encoder.dtype))
    for what, asked, words, reached, runs in (
        ("one picture", f"under {ASKED_SECONDS} s", f"{seconds:.2f} s", seconds < ASKED_SECONDS, alone),
        (
            f"a batch of {len(images)}",
            f"{ASKED_RATE:g} pictures/s",
            f"{rate:.1f} pictures/s",
            rate >= ASKED_RATE,
            batch,
        ),
    ):
        peak = max((run.peak for run in runs if run.peak), default=None)
        line = f"best mode, caption given, {what}: {task.model}"
        result.rows.append(Row(line, asked, f"{words} (median of {len(runs)})", reached, dtypes, (None, peak)))
    together, by_itself = batch[-1].answer[0], alone[-1].answer
    same = together.prompt == by_itself.prompt
    result.checks.append(Check("a picture gets the same prompt alone and in a batch", same))
    lengths = [len(answer.phrases) for answer in batch[-1].answer]
    result.notes.append(f"Prompts of {min(lengths)} to {max(lengths)} phrases, the tables' rows random.")
    result.raw = {"alone": [run.seconds for run in alone], "batch": [run.seconds for run in batch]}
    return result
