"""Building tables: the embeddings of a random sample of the peer's phrases."""

from __future__ import annotations

from functools import partial

import numpy as np
import numpy.typing as npt
import torch
from torch import Tensor

from benchmarks import material, peer
from benchmarks.plan import Task
from benchmarks.results import Check, Result
from benchmarks.timing import Pairs
from benchmarks.works import sides

MOST_DIFFERENT = 1e-3  # the peer keeps rows in fp16


def run(task: Task) -> Result:
    """Measure it, in fp32 on a CPU, with each one's defaults on a GPU."""
    skipped = sides.why_skipped(task)
    if skipped:
        return sides.empty(task, skipped)
    both = sides.prepare(task, defaults=task.device != "cpu")
    lists = peer.lists(material.data_folder(task.sizes, task.scratch))
    # Other phrases in each pair, so that nothing that was kept of one can help the next.
    drawn = material.sample(lists, task.sizes.table_phrases * task.times)
    samples = [drawn[number :: task.times] for number in range(task.times)]

    def theirs(phrases: list[str]) -> npt.NDArray[np.float32]:
        return np.stack(peer.table(both.ci, phrases).embeds).astype(np.float32)

    def ours(phrases: list[str]) -> Tensor:
        return both.encoder.encode_texts(phrases)

    few = list(lists["negative"])[:8]
    theirs(few)
    ours(few)
    pairs, difference = Pairs(), 0.0
    for phrases in samples:
        peer_rows, our_rows = pairs.add(partial(theirs, phrases), partial(ours, phrases), both.clock)
        difference = max(difference, float((torch.from_numpy(peer_rows) - our_rows.cpu()).abs().max()))
        pairs.forget_answers()
    result = sides.empty(task)
    detail = f"{task.model}, {len(samples[0]):,} random phrases of {sum(map(len, lists.values())):,}"
    result.rows.append(sides.row(task, detail, pairs, pairs.median, pairs.words(), both.dtypes))
    # Half precision on both sides is apart by more than a rounded table.
    most = MOST_DIFFERENT if task.device == "cpu" else 2e-2
    result.checks.append(Check(f"rows differ by at most {difference:.1e} (allowed {most:g})", difference < most))
    result.notes.append(
        "Each pair has its own phrases. The peer encodes them in one batch, the size that its own code computes."
    )
    result.raw = {"seconds": sides.seconds(pairs), "ratios": pairs.ratios}
    return result
