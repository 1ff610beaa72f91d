"""The embedding of one picture, resized and all."""

from __future__ import annotations

from torch import Tensor

from benchmarks import material
from benchmarks.plan import Task
from benchmarks.results import Check, Result
from benchmarks.timing import in_turn
from benchmarks.works import sides

LEAST_COSINE = 0.99  # of embeddings in half and in single precision


def run(task: Task) -> Result:
    """Measure it with each one's defaults."""
    skipped = sides.why_skipped(task)
    if skipped:
        return sides.empty(task, skipped)
    both = sides.prepare(task, defaults=True)
    image = material.picture()

    def theirs() -> Tensor:
        features: Tensor = both.ci.image_to_features(image)
        return features

    def ours() -> Tensor:
        return both.encoder.embed([both.encoder.prepare(image)])

    theirs()
    ours()
    pairs = in_turn(theirs, ours, task.times, both.clock)
    result = sides.empty(task)
    detail = f"{task.model}, {image.width} x {image.height} pixels"
    line = sides.row(task, detail, pairs, pairs.median, pairs.words(), both.dtypes)
    without = sides.why_skipped(task, needs_bf16=True)
    if without:
        line.asked, line.reached = f"{line.asked} with bf16 instructions", None
        result.notes.append(f"The goal cannot be measured here: {without}.")
    result.rows.append(line)
    cosine = float(pairs.peer[-1].answer[0].float().cpu() @ pairs.ours[-1].answer[0].float().cpu())
    result.checks.append(Check(f"cosine of both embeddings {cosine:.5f}", cosine > LEAST_COSINE))
    result.raw = {"seconds": sides.seconds(pairs), "ratios": pairs.ratios}
    return result
