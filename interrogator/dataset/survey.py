"""The first pass of a run whose texts or report compare pictures: what holds for how many of them."""

from __future__ import annotations

import os
from collections.abc import Iterator, Sequence
from dataclasses import replace
from typing import Any, Protocol, runtime_checkable

from ..errors import RequestError
from ..locks import exclusive
from .captioning.images import Picture, Prepare, Reader, finish
from .context import RunContext
from .progress import Watched
from .state.overviews import Overviews, RunOverview
from .state.plan import Shard

_LOCK = "overview.lock"
_FOR_SURVEY = frozenset({"encoder"})


@runtime_checkable
class Surveyor(Protocol):
    """A writer of captions that can compare pictures; see `captioning.Models`."""

    prepare: Prepare

    def survey(self, pictures: Sequence[Picture], progress: Any = None) -> Sequence[Sequence[str]]:
        """The phrases that hold for each picture; its `existing` text may help to tell."""

    def common(self, overview: RunOverview) -> Sequence[tuple[str, str, float]]:
        """What nearly all pictures share: text, bank and share of the pictures."""

    def compare_with(self, overview: RunOverview) -> None:
        """Take the pictures of a run as those that each picture is compared with from now on."""


def settled_overview(
    context: RunContext, own: Sequence[Shard], writer: object, watched: Watched, threads: int | None
) -> RunOverview:  # fmt: skip
    """What the pictures of a run share; counted now, as far as no process has done so.

    Every process counts its own shards first and then whatever is not counted yet, so none waits for another, and one
    that dies is made up for.

    Args:
        own: shards of this process.

    Raises:
        RequestError: the writer cannot compare pictures.
        OSError: the disk is full or gone.
    """
    overviews = Overviews(context.files.path, context.revision.number)
    found = overviews.settled()
    if found is not None:
        return found
    if not isinstance(writer, Surveyor):
        raise RequestError("what writes these captions cannot compare pictures: leave out {common} and {distinctive}")
    shards = [shard for shard in context.plan.shards if not shard.again]
    _count(_own_first(shards, own), context, overviews, writer, watched, threads)
    with exclusive(context.files.path / _LOCK, watched.again):
        found = overviews.settled()
        if found is None:
            summed = overviews.summed(shards)
            found = replace(summed, common=tuple(writer.common(summed)))
            overviews.settle(found)
    return found


def _own_first(shards: Sequence[Shard], own: Sequence[Shard]) -> list[Shard]:
    """The shards of this process in order, then the others from the last one on, which others come to late."""
    first = {shard.number for shard in own}
    others = [shard for shard in reversed(shards) if shard.number not in first]
    return [*(shard for shard in shards if shard.number in first), *others]


def _count(
    shards: Sequence[Shard], context: RunContext, overviews: Overviews, writer: Surveyor, watched: Watched,
    threads: int | None,
) -> None:  # fmt: skip
    """Count what is left of shards; while the models work on one, the pictures of the next are read."""
    with Reader(context.sources, writer.prepare, threads or os.cpu_count() or 1, context.settings.masked) as reader:

        def begun() -> Iterator[tuple[Shard, list[Any]]]:
            for shard in shards:
                if not overviews.is_counted(shard):
                    items = [item for item in shard.items() if not item.problem]
                    yield shard, reader.begin(items, _FOR_SURVEY)

        ahead = begun()
        now = next(ahead, None)
        while now is not None:
            following = next(ahead, None)
            shard, reading = now
            pictures = [picture for picture in finish(reading, watched.again) if not picture.error]
            known = [replace(each, existing=_text(context, each)) for each in pictures]
            if not overviews.is_counted(shard):
                overviews.count(shard, writer.survey(known, watched.again) if known else ())
            now = following


def _text(context: RunContext, picture: Picture) -> str:
    existing = context.existing(picture.item)
    return "" if existing is None else existing.text
