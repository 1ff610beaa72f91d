"""What a run would do with each picture, counted before it does."""

from __future__ import annotations

from collections.abc import Iterator
from itertools import islice

from .context import RunContext
from .records import Item
from .state.comparison import Comparison


def previewed(context: RunContext, items: Iterator[Item], retry_failed: bool = False) -> dict[str, int]:
    """Count pictures by what a run would do: caption them, keep their texts, fail, or nothing (done already).

    items: all of the run.
    """
    comparison = Comparison(context.plan, context.parts, context.sources, context.target, lambda: None, retry_failed)
    counts = {"caption": 0, "kept": 0, "failed": 0, "done": 0}
    while some := list(islice(items, context.plan.shard_size)):
        for item, match in zip(some, comparison.match(some), strict=True):
            status = "" if match is None else match.record.status
            counts[status or _expected(context, item)] += 1
    return counts


def _expected(context: RunContext, item: Item) -> str:
    if item.problem:
        return "failed"
    existing = context.existing(item)
    return "kept" if context.keeps(existing) else "failed" if context.target.refusal(item) else "caption"
