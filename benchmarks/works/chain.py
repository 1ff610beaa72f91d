"""The chain of best mode, step by step: the peer's step and ours for the same prompt, in turn.

The prompt goes on with our pick, which has to be the peer's or one as similar. Sums over the steps make the ratio.
"""

from __future__ import annotations

import time
from dataclasses import dataclass, field
from functools import partial

from benchmarks import material, peer
from benchmarks.plan import Task
from benchmarks.results import Check, Result
from benchmarks.timing import Pairs
from benchmarks.works import sides
from benchmarks.works.steps import NEAR, Pick, our_step, peer_step
from interrogator.prompts import join

GPU_NEAR = 2e-3  # there the peer compares similarities in fp16, which it cannot be told not to


@dataclass
class Walk:
    """What happened on the way: the prompt, and at each step whether the picks were the same, tied or different."""

    prompt: str = material.CAPTION
    picks: list[str] = field(default_factory=list)
    differences: list[float] = field(default_factory=list)


def run(task: Task) -> Result:
    """Measure it: `chain` in fp32 on both sides, `chain-defaults` with what each chooses."""
    defaults = task.work == "chain-defaults"
    skipped = sides.why_skipped(task, needs_bf16=defaults)
    if skipped:
        return sides.empty(task, skipped)
    both = sides.prepare(task, defaults)
    lists = peer.lists(material.data_folder(task.sizes, task.scratch))
    phrases = material.sample(lists, task.sizes.candidates, seed=1)
    pairs, walk = Pairs(), Walk()
    tokenising = _tokenising_seconds(both, phrases)
    # One untimed step each on a few phrases: buffers, threads, and what an encoder finds out once about its model.
    peer_step(both.ci, both.features, walk.prompt, phrases[:8])
    our_step(both.encoder, both.embedding, walk.prompt, phrases[:8])
    for _ in range(task.steps):
        theirs, ours = pairs.add(
            partial(peer_step, both.ci, both.features, walk.prompt, phrases),
            partial(our_step, both.encoder, both.embedding, walk.prompt, phrases),
            both.clock,
        )
        pairs.forget_answers()
        _compare(theirs, ours, phrases, walk, GPU_NEAR if task.device == "cuda" else NEAR)
        if not ours.fits:
            break
        walk.prompt = join(walk.prompt, ours.phrase)
        phrases = [phrase for phrase in phrases if phrase != ours.phrase]
    return _result(task, both, pairs, walk, tokenising)


def _compare(theirs: str, ours: Pick, phrases: list[str], walk: Walk, near: float) -> None:
    difference = float(ours.scores[phrases.index(ours.phrase)] - ours.scores[phrases.index(theirs)])
    walk.differences.append(abs(difference))
    same = "the same" if theirs == ours.phrase else "tied" if abs(difference) <= near else "different"
    walk.picks.append(same)


def _tokenising_seconds(both: sides.Sides, phrases: list[str]) -> float:
    """How long the peer takes to tokenise the texts of one step, which it does in each."""
    texts = [f"{material.CAPTION}, {phrase}" for phrase in phrases]
    both.ci.tokenize(texts[:8])
    began = time.perf_counter()
    both.ci.tokenize(texts)
    return time.perf_counter() - began


def _result(task: Task, both: sides.Sides, pairs: Pairs, walk: Walk, tokenising: float) -> Result:
    result = sides.empty(task)
    taken = len(pairs.ratios)
    detail = f"{task.model}, {taken} steps, {task.sizes.candidates:,} candidates"
    if taken < 12:
        detail += " (12 were asked for)"
    result.rows.append(sides.row(task, detail, pairs, pairs.of_sums, pairs.sum_words(), both.dtypes))
    counts = ", ".join(f"{walk.picks.count(kind)} {kind}" for kind in ("the same", "tied", "different"))
    result.checks.append(Check(f"picks of {taken} steps: {counts}", "different" not in walk.picks))
    if taken < task.steps:
        result.notes.append(f"The prompt filled the context after {taken} of {task.steps} steps.")
    share = 100 * tokenising * taken / pairs.seconds("peer")
    result.notes.append(
        f"The peer tokenises all texts again in each step: {share:.1f} % of its time, included in the ratio."
    )
    if task.work == "chain-defaults":
        result.notes.append("Both start from the peer's embedding of the picture.")
    result.raw = {
        "seconds": sides.seconds(pairs), "ratios": pairs.ratios, "tokenising": tokenising, "prompt": walk.prompt,
        "picks": walk.picks, "differences": walk.differences,
    }  # fmt: skip
    return result
