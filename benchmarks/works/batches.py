"""Batches of 2, 4 and 8 beside one item: images and texts embedded, images captioned and matched, in every dtype."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Any

import torch

from benchmarks import material, models
from benchmarks.models import BLIPS, clip
from benchmarks.plan import Task
from benchmarks.results import Result, Row
from benchmarks.sizes import TINY_MODEL
from benchmarks.timing import Clock
from benchmarks.works import sides
from benchmarks.works.captions import WORDS
from interrogator import BlipCaptioner, CaptionOptions
from interrogator.matchers.blip import BlipMatcher

SIZES = (1, 2, 4, 8)
DTYPES = (torch.float32, torch.bfloat16, torch.float16)
MOST = 1.2  # times the time of one item, an item in a batch
_TEXTS = (
    "a lighthouse",
    "oil on canvas",
    "two dogs on a beach",
    "by the sea",
    "at night",
    "fog",
    "red roofs",
    "a boat",
)


@dataclass(frozen=True)
class Subject:
    """One thing done to a batch: `work(n)` does it to n items."""

    name: str
    dtype: torch.dtype
    work: Callable[[int], Any]


def run(task: Task) -> Result:
    """Measure each subject at each size, all sizes once a round, after one round untimed."""
    result, clock = sides.empty(task), Clock(task.device)
    for subject in _subjects(task):
        for size in SIZES:
            subject.work(size)
        seconds: dict[int, list[float]] = {size: [] for size in SIZES}
        for _ in range(task.times):
            for size in SIZES:
                seconds[size].append(clock.run(lambda: subject.work(size)).seconds)  # noqa: B023  run at once
        result.rows.append(_row(task, subject, seconds))
        result.raw[f"{subject.name} {sides.dtype_name(subject.dtype)}"] = {str(k): v for k, v in seconds.items()}
    result.notes.append(
        f"Time per item in a batch divided by the time of one item alone, each the shortest of {task.times} rounds,"
        " because other work on the machine can only add time."
    )
    return result


def _row(task: Task, subject: Subject, seconds: dict[int, list[float]]) -> Row:
    alone = min(seconds[1])
    ratios = {size: min(times) / size / alone for size, times in seconds.items() if size > 1}
    name = sides.dtype_name(subject.dtype)
    return Row(
        f"{subject.name}: {task.model}, batches of {', '.join(map(str, ratios))}, {name}",
        f"at most {MOST:g}x",
        f"{', '.join(f'{ratio:.2f}x' for ratio in ratios.values())} (shortest of {task.times})",
        max(ratios.values()) <= MOST,
        ("", name),
    )


def _subjects(task: Task) -> Iterator[Subject]:
    """Those of an architecture of open_clip or of a BLIP; the tiny model is both."""
    if task.model not in BLIPS:
        yield from _open_clip(task)
    if task.model in BLIPS or task.model == TINY_MODEL:
        yield from _blip(task)


def _open_clip(task: Task) -> Iterator[Subject]:
    """Image and text side of an encoder; the text side also where the tower is not causal, as SigLIP's."""
    causal, seeing_all = clip(task.model), clip(task.model, no_causal_mask=True)
    pictures = [material.picture(seed) for seed in range(max(SIZES))]
    for dtype in DTYPES if task.model != TINY_MODEL else DTYPES[:1]:
        encoder, other = causal.encoder(dtype), seeing_all.encoder(dtype)
        pixels = [encoder.prepare(picture) for picture in pictures]
        yield Subject("image embedding", dtype, lambda n: encoder.embed(pixels[:n]))  # noqa: B023
        yield Subject("text embedding", dtype, lambda n: encoder.encode_texts(_TEXTS[:n]))  # noqa: B023
        yield Subject("text embedding, not causal", dtype, lambda n: other.encode_texts(_TEXTS[:n]))  # noqa: B023


def _blip(task: Task) -> Iterator[Subject]:
    """A captioner, and a matcher of the same sizes."""
    from transformers import BlipForImageTextRetrieval

    folder = task.scratch / "blip"
    models.write_blip(folder, WORDS, task.model)
    pictures = [material.picture(seed) for seed in range(max(SIZES))]
    length = task.sizes.caption_tokens
    options = CaptionOptions(min_new_tokens=length, max_new_tokens=length)
    for dtype in DTYPES if task.model != TINY_MODEL else DTYPES[:1]:
        captioner = BlipCaptioner.load(folder, device="cpu", dtype=dtype)
        pixels = [captioner.prepare(picture) for picture in pictures]
        yield Subject("captioning", dtype, lambda n: captioner.caption(pixels[:n], options))  # noqa: B023
        config: Any = captioner.module.config
        matcher = BlipMatcher(BlipForImageTextRetrieval(config).to(dtype), captioner.processor)
        yield Subject("matching", dtype, lambda n: matcher.match(pixels[:n], [_TEXTS] * n))  # noqa: B023
