"""Where the time of a step goes: the padded encoder before, ours after, by the operators of torch."""

from __future__ import annotations

import time
from collections.abc import Callable
from typing import Any

import torch
from torch.profiler import ProfilerActivity

from benchmarks import material, peer
from benchmarks.models import clip
from benchmarks.plan import Task
from benchmarks.results import Result, Table
from benchmarks.works import sides
from benchmarks.works.steps import our_step

TOP = 8
OUTSIDE = "outside torch's operators (tokenising, Python)"
# What an operator is for, by a part of its name; the first that fits.
KINDS = (
    ("attention", ("attention",)),
    ("matrix products", ("mm", "linear", "matmul", "gemm")),
    ("activations", ("gelu", "sigmoid", "softmax")),
    ("normalisation", ("norm",)),
    ("copies, gathers and masks", (
        "copy", "cat", "index", "gather", "contiguous", "clone", "embedding", "select", "slice", "stack", "fill", "pad",
        "scatter", "empty", "view", "as_strided", "transpose", "reshape", "expand", "masked", "where", "_to",
    )),
)  # fmt: skip
OTHER = "other operators"


def run(task: Task) -> Result:
    """Profile one step each way, after an untimed one, in the dtype of our default here."""
    loaded = clip(task.model)
    encoder = loaded.default_encoder()
    embedding = material.unit_rows(1, loaded.embed_dim, seed=1)[0]
    lists = peer.lists(material.data_folder(task.sizes, task.scratch))
    phrases = material.sample(lists, task.sizes.candidates, seed=1)
    padded = [f"{material.CAPTION}, {phrase}" for phrase in phrases[: task.sizes.padded_texts]]

    def before() -> None:
        with torch.inference_mode():
            loaded.model.encode_text(loaded.tokenizer(padded))

    def after() -> None:
        our_step(encoder, embedding, material.CAPTION, phrases)

    result = sides.empty(task)
    name = sides.dtype_name(encoder.dtype)
    our_step(encoder, embedding, material.CAPTION, phrases[:8])
    for title, step in (
        (f"{task.model}, before: {len(padded):,} texts padded to {encoder.context_length} tokens, fp32", before),
        (f"{task.model}, after: {len(phrases):,} continuations of one prompt, {name}", after),
    ):
        times = _self_times(step)
        result.raw[title] = times
        result.tables.append(_table(title, times))
    result.notes.append(_remaining(times))
    return result


def _self_times(step: Callable[[], None]) -> dict[str, float]:
    """Seconds of one call by operator, without those that it calls, and what is left outside of all of them."""
    with torch.profiler.profile(activities=[ProfilerActivity.CPU]) as profiler:
        began = time.perf_counter()
        step()
        seconds = time.perf_counter() - began
    times: dict[str, float] = {}
    events: Any = profiler.key_averages()
    for event in events:
        times[event.key] = event.self_cpu_time_total / 1e6
    times[OUTSIDE] = max(0.0, seconds - sum(times.values()))
    return times


def _table(title: str, times: dict[str, float]) -> Table:
    total = sum(times.values())
    top = sorted(times.items(), key=lambda item: -item[1])[:TOP]
    rows = [[name, kind(name), f"{100 * seconds / total:.1f} %"] for name, seconds in top]
    return Table(title, ["operator", "kind", "share of the step"], rows)


def kind(operator: str) -> str:
    """What an operator is for."""
    if operator == OUTSIDE:
        return OUTSIDE
    return next((kind for kind, parts in KINDS if any(part in operator for part in parts)), OTHER)


def _remaining(times: dict[str, float]) -> str:
    """Shares of the kinds of operators, in a sentence."""
    total = sum(times.values())
    shares: dict[str, float] = {}
    for name, seconds in times.items():
        shares[kind(name)] = shares.get(kind(name), 0.0) + seconds / total
    ordered = sorted(shares.items(), key=lambda item: -item[1])
    parts = ", ".join(f"{100 * share:.0f} % {name}" for name, share in ordered if share >= 0.005)
    return f"The time that remains is {parts}; this includes the profiler's own overhead."
