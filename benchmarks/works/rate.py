"""How fast our chain is beside the machine's own matrix products, measured in turn with it."""

from __future__ import annotations

import statistics
import time
from collections.abc import Callable
from functools import partial

import torch

from benchmarks import material, peer
from benchmarks.models import clip
from benchmarks.plan import Task
from benchmarks.results import Result, Row
from benchmarks.timing import Clock
from benchmarks.works import sides
from benchmarks.works.steps import encoded_nodes, needed_nodes, our_step, step_flops
from interrogator import OpenClipEncoder
from interrogator.prompts import join

ASKED = {torch.float32: 0.45, torch.bfloat16: 0.25}
ROWS = 2048  # of the left matrix


def run(task: Task) -> Result:
    """Measure it in fp32, and in bf16 where the processor has instructions for that."""
    result = sides.empty(task)
    loaded = clip(task.model)
    lists = peer.lists(material.data_folder(task.sizes, task.scratch))
    phrases = material.sample(lists, task.sizes.candidates, seed=1)
    without_bf16 = sides.why_skipped(task, needs_bf16=True)
    for dtype in ASKED:
        if dtype == torch.bfloat16 and without_bf16:
            result.notes.append(f"Not measured in bf16: {without_bf16}.")
            continue
        shares, raw = _shares(task, loaded.encoder(dtype), loaded.width, loaded.layers, loaded.embed_dim, phrases)
        name = sides.dtype_name(dtype)
        median = statistics.median(shares)
        result.rows.append(
            Row(
                f"our chain's linear layers beside torch.mm [{ROWS}, {loaded.width}] x [{loaded.width},"
                f" {4 * loaded.width}]: {task.model}, {name}",
                f"{100 * ASKED[dtype]:.0f} %",
                f"{100 * median:.0f} % ({100 * min(shares):.0f} to {100 * max(shares):.0f}, {len(shares)} steps)",
                median >= ASKED[dtype],
                ("", name),
            )
        )
        result.raw[name] = raw
        result.notes.append(
            f"{name}: {statistics.median(raw['surplus']):.2f} positions were computed per distinct beginning of a text."
        )
    result.notes.append(
        "Operations of a step: per layer, 24 W² for each distinct beginning of a text, except in the last layer, 4 W²"
        " for each and 20 W² for each text; plus 2 W D for each text. W is the width, D the length of an embedding."
        " Positions computed more than once (the lines above say how many) count once. Attention, activations and"
        " normalisations take time but count as no operations. The rate of a step is divided by the mean rate of the"
        " matrix products before and after it."
    )
    return result


def _shares(
    task: Task, encoder: OpenClipEncoder, width: int, layers: int, embed_dim: int, phrases: list[str]
) -> tuple[list[float], dict[str, list[float]]]:
    """The rate of each step over that of matrix products, and both rates in operations a second."""
    embedding = material.unit_rows(1, embed_dim, seed=1)[0]
    rate = _product_rate(width, encoder.dtype, task.sizes.rate_seconds)
    our_step(encoder, embedding, material.CAPTION, phrases[:8])
    clock, prompt = Clock("cpu"), material.CAPTION
    shares, products, chain, surplus = [], [rate()], [], []
    for _ in range(task.steps):
        before = encoded_nodes(encoder)
        step = clock.run(partial(our_step, encoder, embedding, prompt, phrases))
        products.append(rate())
        nodes, needed = encoded_nodes(encoder) - before, needed_nodes(encoder, prompt, phrases)
        surplus.append(nodes / needed)
        # What is run twice, such as what a choice in half precision settles in float32, is no work done.
        flops = step_flops(min(nodes, needed), len(phrases), width, layers, embed_dim)
        chain.append(flops / step.seconds)
        shares.append(chain[-1] / statistics.mean(products[-2:]))
        if not step.answer.fits:
            break
        prompt = join(prompt, step.answer.phrase)
        phrases = [phrase for phrase in phrases if phrase != step.answer.phrase]
    return shares, {"chain": chain, "products": products, "surplus": surplus}


def _product_rate(width: int, dtype: torch.dtype, least_seconds: float) -> Callable[[], float]:
    """A function that answers operations a second of the tower's widest product, run for some time."""
    left = torch.randn(ROWS, width).to(dtype)
    right = torch.randn(width, 4 * width).to(dtype)
    out = torch.empty(ROWS, 4 * width, dtype=dtype)

    def rate() -> float:
        torch.mm(left, right, out=out)
        began, count = time.perf_counter(), 0
        while time.perf_counter() - began < least_seconds:
            torch.mm(left, right, out=out)
            count += 1
        return 2 * ROWS * width * 4 * width * count / (time.perf_counter() - began)

    return rate
