"""Ranking all phrases of open tables by one picture."""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor

from benchmarks import material, peer
from benchmarks.models import clip
from benchmarks.plan import Task
from benchmarks.results import Check, Result
from benchmarks.timing import Clock, in_turn
from benchmarks.works import sides
from interrogator import EmbeddingCache, Interrogator, load_banks
from interrogator.ranking import TIE


def run(task: Task) -> Result:
    """Measure it: the peer as it ranks for each picture, its tables merged anew, and with tables merged before."""
    skipped = sides.why_skipped(task)
    if skipped:
        return sides.empty(task, skipped)
    loaded = clip(task.model).on(task.device)
    encoder = loaded.encoder()
    tables = material.write_tables(task.scratch, task.sizes, encoder, loaded.embed_dim)
    ci: Any = peer.with_tables(loaded, tables.peer_cache, tables.data, task.device)
    table = Interrogator(None, encoder, load_banks(tables.bank_paths), EmbeddingCache(tables.our_cache)).table()
    features = material.unit_rows(1, loaded.embed_dim, seed=1).to(task.device)  # [1, D]
    theirs_features = features.half() if task.device == "cuda" else features
    top = task.sizes.top
    before = peer.merged(ci)

    def theirs() -> Any:
        return peer.merged(ci).rank(theirs_features, top)

    def theirs_merged() -> Any:
        return before.rank(theirs_features, top)

    def ours() -> list[str]:
        positions = table.candidates(table.scores(features[0]), table.merged, top)
        return [table.texts[position] for position in positions]

    result = sides.empty(task)
    clock = Clock(task.device)
    theirs()
    ours()
    detail = f"{tables.peer_merged_count:,} rows, D = {loaded.embed_dim}, top {top:,}"
    dtypes = ("fp16", "fp32") if task.device == "cuda" else ("fp32", "fp32")
    pairs = in_turn(theirs, ours, task.times, clock)
    result.rows.append(sides.row(task, detail, pairs, pairs.median, pairs.words(), dtypes))
    merged_before = in_turn(theirs_merged, ours, task.times, clock)
    line = sides.row(task, f"{detail}, the peer's tables merged before", merged_before, merged_before.median,
                     merged_before.words(), dtypes)  # fmt: skip
    line.asked, line.reached = "", None  # asked of what the peer does for a picture
    result.rows.append(line)
    exact = is_exact(pairs.ours[-1].answer, [table.texts[p] for p in table.merged], tables.rows, features[0].cpu(), top)
    result.checks.append(Check(f"our {len(pairs.ours[-1].answer):,} match a plain fp32 ranking", exact))
    result.notes.append(
        f"Ours ranks {len(table.merged):,} rows, because a phrase in two lists counts once, and returns the exact top"
        f" {top:,}; the peer returns the best of each window of its lists, {len(pairs.peer[-1].answer):,} in all."
    )
    result.raw = {
        "seconds": sides.seconds(pairs), "ratios": pairs.ratios,
        "merged_before": {"seconds": sides.seconds(merged_before), "ratios": merged_before.ratios},
    }  # fmt: skip
    return result


def is_exact(texts: list[str], ranked: list[str], rows: material.Rows, embedding: Tensor, top: int) -> bool:
    """Whether `texts` are the `top` of `ranked` by plain fp32 products, except for ties with the last of them."""
    scores = rows.of(ranked).float() @ embedding  # [N]
    best = torch.topk(scores, min(top, len(ranked)))
    of = {text: float(score) for text, score in zip(ranked, scores, strict=True)}
    last = float(best.values[-1])
    expected = {ranked[int(position)] for position in best.indices}
    odd = expected.symmetric_difference(texts)
    return len(set(texts)) == len(expected) and all(abs(of[text] - last) <= 2 * TIE for text in odd)
