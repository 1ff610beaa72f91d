"""Many sampled captions of one picture: ours, which shares what the picture is to the decoder, beside generate()."""

from __future__ import annotations

from typing import Any

import torch

from benchmarks import material, models
from benchmarks.plan import Task
from benchmarks.results import Check, Result
from benchmarks.timing import Clock, in_turn
from benchmarks.works import sides
from benchmarks.works.captions import WORDS
from interrogator import BlipCaptioner, SamplingOptions

_TOKENS = 20
_TOP_P = 0.9


def run(task: Task) -> Result:
    """Measure it, both in float32 with the same weights and settings: one picture in, captions out."""
    blip = task.scratch / "blip"
    models.write_blip(blip, WORDS, task.model)
    captioner = BlipCaptioner.load(blip, device="cpu", dtype="fp32")
    model: Any = captioner.module
    picture, count = material.picture(), task.sizes.samples
    options = SamplingOptions(count=count, top_p=_TOP_P, min_new_tokens=_TOKENS, max_new_tokens=_TOKENS)

    def theirs() -> list[str]:
        inputs = captioner.processor(images=picture, return_tensors="pt")
        with torch.inference_mode():
            written = model.generate(
                **inputs, do_sample=True, top_p=_TOP_P, top_k=0, num_return_sequences=count,
                min_new_tokens=_TOKENS, max_new_tokens=_TOKENS,
            )  # fmt: skip
        captions: list[str] = captioner.processor.batch_decode(written, skip_special_tokens=True)
        return captions

    def ours() -> list[str]:
        return [sample.text for sample in captioner.sample([captioner.prepare(picture)], ["picture"], options)[0]]

    theirs()
    ours()
    pairs = in_turn(theirs, ours, task.times, Clock("cpu"))
    result = sides.empty(task)
    detail = f"{task.model}, {count} captions of {_TOKENS} tokens, top_p {_TOP_P:g}, fp32 both"
    result.rows.append(sides.row(task, detail, pairs, pairs.median, pairs.words(), ("fp32", "fp32")))
    there = len(pairs.peer[-1].answer) == len(pairs.ours[-1].answer) == count
    result.checks.append(Check(f"both gave {count} captions", there))
    result.raw = {"seconds": sides.seconds(pairs), "ratios": pairs.ratios}
    return result
