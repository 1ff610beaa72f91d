"""Planning a run anew after its sources changed: a new plan, with every record at the picture that it is of."""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterable, Sequence

from ..context import RunContext
from ..records import Item
from ..targets.target import item_of
from .comparison import Comparison, Match
from .plan import Shard, mark
from .revision import Revision


def renew(
    context: RunContext, caption_file: Callable[[Item], str], again: Callable[[], object], retry_failed: bool = False
) -> str:
    """Write the next revision of a run; one sentence on what changed, "" if no picture did.

    No other process may be planning. Captions at other pictures are not taken back yet; see `Revision.withdraw`.

    Args:
        caption_file: as in `Plan.extend`.
        again: called while pictures are read; may raise to stop.
        retry_failed: plan those that failed like new ones.

    Raises OSError, and RunStopped where a source changes at this moment.
    """
    comparison = Comparison(context.plan, context.parts, context.sources, context.target, again, retry_failed)
    draft = context.revision.draft()
    try:
        plan = draft.plan(context.plan.shard_size)
        plan.extend(comparison.listed(), caption_file, context.plan)
        settled: list[bytes] = []
        for shard in plan.shards:
            matches = comparison.match(shard.items())
            _carry_over(context, draft, shard, matches)
            settled += _settled(context, matches)
        draft.complete(comparison.withdrawals(), settled)
    finally:
        draft.discard()
    return comparison.described()


def is_pending(context: RunContext, items: Collection[bytes]) -> bool:
    """Whether any of some items, by their marks, are still to be captioned."""
    if not items:
        return False
    pending = set(context.plan.shards).difference(context.parts.done(context.plan))
    return any(mark(item) in items for shard in pending for item in shard.items())


def repeat_failed(context: RunContext, items: Iterable[Item], caption_file: Callable[[Item], str]) -> None:
    """Plan the pictures that failed and are taken once more. Raises OSError.

    Args:
        items, caption_file: as in `Plan.repeat`.
    """
    done = context.parts.done(context.plan)
    pending = set(context.plan.shards).difference(done)
    left = {item.name for shard in pending for item in shard.items()}
    failed = [
        record.name
        for record in context.parts.failed(done)
        if record.name not in left and not context.sources[record.source].leaves_out(item_of(record))
    ]
    context.plan.repeat(failed, items, caption_file)


def _carry_over(context: RunContext, draft: Revision, shard: Shard, matches: Sequence[Match | None]) -> None:
    """Write what is known of a shard: all of it, or the records that it will not have to make."""
    known = [match for match in matches if match is not None]
    if not known:
        return
    parts, records = draft.parts(), [match.record for match in known]
    shots = {match.record.name: context.thumbnails.of(match.shard, match.name) for match in known}
    draft.thumbnails().write(shard.number, {name: shot for name, shot in shots.items() if shot is not None})
    if len(known) < shard.count:
        parts.keep(shard, records)
    else:
        parts.write(shard, records)
        parts.finish(shard, records)


def _settled(context: RunContext, matches: Sequence[Match | None]) -> list[bytes]:
    """Marks of the records that the target already has under their present name."""
    finished, settled = context.files.finished(context.revision.number), context.revision.settled()
    return [
        mark(match.record)
        for match in matches
        if match is not None and match.record.name == match.name
        if match.shard < finished or mark(match.record) in settled
    ]
