"""One picture in mode precise beside mode best, from its pixels to its prompt, captioned in both."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import torch
from PIL import Image
from torch.nn.functional import normalize

from benchmarks import material
from benchmarks.plan import Task
from benchmarks.results import Check, Result
from benchmarks.timing import Clock, in_turn
from benchmarks.works import sides
from benchmarks.works.end_to_end import write
from interrogator import BlipCaptioner, CaptionOptions, EmbeddingCache, Interrogator, OpenClipEncoder, load_banks
from interrogator.evidence import MAX_REFERENCES, Calibration
from interrogator.pipeline import RankedPhrase

# Phrases that hold, as many as to fill a prompt several times over: a calibration learned from real pictures lets
# fewer through.
_HELD = 100
_SLOPE = 40.0


def run(task: Task) -> Result:
    """Measure it; both modes are one interrogator, as a user loads it."""
    scratch = task.scratch
    write(scratch, task.model, task.sizes)
    encoder = OpenClipEncoder.load(scratch / "clip", device="cpu")
    captioner = BlipCaptioner.load(scratch / "blip", device="cpu")
    banks = load_banks([material.data_folder(task.sizes, scratch), scratch / "trendings.txt"])
    options = CaptionOptions(max_new_tokens=task.sizes.caption_tokens)
    cache = EmbeddingCache(scratch / "our-cache")
    picture = material.picture()
    first = Interrogator(captioner, encoder, banks, cache, options)
    calibration = _calibration(first, picture)
    ci = Interrogator(captioner, encoder, banks, cache, options, calibration=calibration)
    clock = Clock("cpu")
    opening = clock.run(ci.evidence)
    ci.interrogate(picture, mode="precise")  # buffers, threads, and what a model finds out once
    pairs = in_turn(
        lambda: ci.interrogate(picture, mode="best"), lambda: ci.interrogate(picture, mode="precise"), task.times, clock
    )
    dtype = sides.dtype_name(encoder.dtype)
    phrases = len(ci.table().texts)
    detail = f"{task.model} and BLIP large, {phrases:,} phrases, caption of {task.sizes.caption_tokens} words"
    result = sides.empty(task)
    result.rows.append(sides.row(task, detail, pairs, pairs.median, pairs.words(), (dtype, dtype)))
    found = pairs.ours[-1].answer
    result.checks.append(Check("mode precise stated phrases, each with evidence", _is_whole(found.phrases)))
    result.notes.append(
        f"Modes best and precise of one interrogator, in turn. The odds of {phrases:,} phrases over {MAX_REFERENCES}"
        f" references are computed once for each process, in {opening.seconds / pairs.ours[-1].seconds:.2f} times the"
        " time of a picture in mode precise. Weights and references are random; the calibration is set so that"
        f" {_HELD} phrases hold."
    )
    result.raw = {"seconds": sides.seconds(pairs), "ratios": pairs.ratios, "opening": opening.seconds}
    return result


def _calibration(ci: Interrogator, picture: Image.Image) -> Calibration:
    """As one of real references is, in its sizes; similarities of random weights would teach none."""
    torch.manual_seed(0)
    table = ci.table()
    scores = np.sort(np.asarray(table.scores(torch.from_numpy(ci.image_embedding(picture))).rough))
    references = normalize(torch.randn(MAX_REFERENCES, table.rows.width), dim=-1).half()  # [R, D]
    spread = float(scores[-1] - scores[-_HELD]) or 1.0
    slope = _SLOPE / spread
    return Calibration(references, slope, -slope / 10, -slope * float(scores[-_HELD]), 0.01, 0.1)


def _is_whole(phrases: Sequence[RankedPhrase]) -> bool:
    return bool(phrases) and all(phrase.evidence is not None for phrase in phrases)
