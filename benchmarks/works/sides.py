"""Both sides around one set of weights, ready to be timed, and words that several works share."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor

from benchmarks import material, peer
from benchmarks.models import Clip, clip
from benchmarks.plan import WORKS, Task
from benchmarks.results import Result, Row
from benchmarks.timing import Clock, Pairs
from interrogator import OpenClipEncoder
from interrogator.devices import cpu_multiplies_bf16


@dataclass(frozen=True)
class Sides:
    """The peer and our encoder, and the embedding of the picture that both work on.

    Attributes:
        clip: the model that ours is around.
        ci: the peer, its tables without embeddings.
        encoder: ours.
        features: the picture, as the peer has it: [1, D].
        clock: times calls on the device.
    """

    clip: Clip
    ci: Any
    encoder: OpenClipEncoder
    features: Tensor
    clock: Clock

    @property
    def embedding(self) -> Tensor:
        """The same embedding of the picture for ours: float32 [D]."""
        return self.features[0].float()

    @property
    def dtypes(self) -> tuple[str, str]:
        """What the peer and ours compute in."""
        theirs = next(self.ci.clip_model.transformer.parameters()).dtype
        return dtype_name(theirs), dtype_name(self.encoder.dtype)


def prepare(task: Task, defaults: bool) -> Sides:
    """Both sides on the task's device; `defaults` lets each choose its dtype, else both compute in float32."""
    loaded = clip(task.model)
    if task.device == "cpu":  # one model object for both
        ours = theirs = loaded
    else:
        ours, theirs = loaded.on(task.device), loaded.as_peer_default(task.device)
    encoder = ours.default_encoder() if defaults else ours.encoder()
    ci = peer.without_tables(theirs, task.device)
    return Sides(ours, ci, encoder, ci.image_to_features(material.picture()), Clock(task.device))


def why_skipped(task: Task, needs_bf16: bool = False) -> str:
    """Why a work cannot run here; "" if it can."""
    if task.device == "cuda" and not torch.cuda.is_available():
        return "PyTorch finds no GPU here"
    if needs_bf16 and task.device == "cpu" and not cpu_multiplies_bf16():
        return "the processor has no bf16 instructions, so our default here is fp32 as well"
    return ""


def empty(task: Task, skipped: str = "") -> Result:
    """A result that says nothing yet, or only why the work was not run."""
    return Result(task.work, task.model, task.device, skipped)


def row(
    task: Task, detail: str, pairs: Pairs, measured: float, words: str, dtypes: tuple[str, str],
    asked: float | None = None,
) -> Row:  # fmt: skip
    """A line of the table for pairs of runs; on a GPU nothing was asked of the ratio alone.

    asked: the least ratio, where the work asks for several.
    """
    asked = (asked or task.asked) if task.device == "cpu" else None
    return Row(
        f"{WORKS[task.work].title}: {detail}",
        f"{asked:g}x" if asked else "",
        words,
        measured >= asked if asked else None,
        dtypes,
        pairs.peaks(),
    )


def seconds(pairs: Pairs) -> dict[str, list[float]]:
    """Single times, for the file that is kept."""
    return {"peer": [run.seconds for run in pairs.peer], "ours": [run.seconds for run in pairs.ours]}


def dtype_name(dtype: torch.dtype) -> str:
    """fp32, bf16 or fp16."""
    names = {torch.float32: "fp32", torch.bfloat16: "bf16", torch.float16: "fp16"}
    return names.get(dtype, str(dtype))
