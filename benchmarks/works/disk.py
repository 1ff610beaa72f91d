"""From bank and cache files on disk to the first rank: what is between the weights and the first picture."""

from __future__ import annotations

from typing import Any

from benchmarks import material, peer
from benchmarks.models import clip
from benchmarks.plan import Task
from benchmarks.results import Check, Result
from benchmarks.timing import Clock, in_turn
from benchmarks.works import sides
from interrogator import EmbeddingCache, Interrogator, load_banks


def run(task: Task) -> Result:
    """Measure it: lists read, tables opened, the whole ranked; files in the system's memory, models loaded."""
    loaded = clip(task.model)
    encoder = loaded.encoder()
    encoder.identity()  # known from loading on; it keys the cache
    tables = material.write_tables(task.scratch, task.sizes, encoder, loaded.embed_dim)
    ci: Any = peer.with_tables(loaded, tables.peer_cache, tables.data)
    features = material.unit_rows(1, loaded.embed_dim, seed=1)  # [1, D]
    top = task.sizes.top

    def theirs() -> list[str]:
        peer.reload_tables(ci, loaded)
        ranked: list[str] = peer.merged(ci).rank(features, top)
        return ranked

    def ours() -> tuple[list[str], str, int]:
        cache = EmbeddingCache(tables.our_cache)
        table = Interrogator(None, encoder, load_banks(tables.bank_paths), cache).table()
        scores = table.scores(features[0])
        positions = table.candidates(scores, table.merged, top)
        return table.texts_at(positions), table.texts[positions[int(scores.at(positions).argmax())]], len(scores)

    theirs()
    ours()
    pairs = in_turn(theirs, ours, task.times, Clock("cpu"))
    ranked, (texts, best, count) = pairs.peer[-1].answer, pairs.ours[-1].answer
    result = sides.empty(task)
    detail = f"D = {loaded.embed_dim}, {tables.peer_count:,} rows (peer), {count:,} (ours)"
    result.rows.append(sides.row(task, detail, pairs, pairs.median, pairs.words(), ("fp32", "fp32")))
    same_best = material.tidy(ranked[0]).casefold() == best.casefold()
    kept_count = count == tables.our_count and len(texts) == min(top, count)
    result.checks.append(Check("the most similar phrase is the same", same_best))
    result.checks.append(Check(f"all {count:,} rows were found, {len(texts):,} ranked", kept_count))
    result.notes.append(
        "Rows are random and were written in advance. Each side ran once untimed, so files are in the page cache and"
        " our index of the list exists. We have fewer rows because a bank contains a phrase once even if its list"
        " repeats it. The key of our cache is computed when a model is loaded, which is not timed on either side."
    )
    result.raw = {"seconds": sides.seconds(pairs), "ratios": pairs.ratios}
    return result
