"""What is made of a whole run, by the process that finds nothing left to do: tables, findings, report."""

from __future__ import annotations

import json
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from ..errors import RunStopped
from ..locks import exclusive
from .context import RunContext
from .progress import Watched
from .records import Item, Record
from .review.findings import Finding, Findings, ScoreSummary, find
from .review.report import PAGE, SUMMARY, write_report
from .review.thumbnails import Album
from .state.cleanup import sweep
from .state.comparison import has_changed_containers
from .state.parts import Placed
from .state.plan import Shard, mark
from .targets import Rejected
from .worker import failed

_LOCK = "finish.lock"
_AT_ONCE = 1000


@dataclass(frozen=True)
class Summary:
    """How a run stands.

    Attributes:
        run: its folder.
        total: pictures in the plan.
        counts: pictures by status: done, kept, failed; those not reached yet are in none.
        findings: what to look at; None while shards are left. Of a run that was finished before, without `ids`.
        report: the page; None while shards are left.
    """

    run: Path
    total: int
    counts: dict[str, int]
    findings: Findings | None = None
    report: Path | None = None


def put_back(place: RunContext, shards: Iterable[Shard], watched: Watched) -> bool:
    """Write captions again that are gone though their pictures are there; whether any were.

    Their text is that of the records: the same settings and weights would write it again.
    """

    def is_missing(told: Mapping[str, Any]) -> bool:
        return told["status"] == "done" and not place.has_text(Item(told["key"], told["source"]))

    found = False
    for shard in shards:
        missing = [record for record in place.parts.read(shard, is_missing) if not place.is_gone(record)]
        if missing:
            place.target.write(missing)
            found = True
        watched.again()
    return found


def finished(place: RunContext, is_changed: bool, began: float, watched: Watched) -> Summary:
    """Write what is made of the whole run, if nothing is left of it and that was not done yet; how it stands.

    Args:
        is_changed: captions were put back, so write it again.
        began: when this process began to work on the run; temporary files that are older are nobody's.

    Raises OSError.
    """
    files, plan = place.files, place.plan
    done = place.parts.done(plan)
    if len(done) < len(plan.shards) or not done:
        return Summary(files.path, len(plan), place.parts.counts(done))
    page = files.path / PAGE
    with exclusive(files.path / _LOCK, watched.again):
        findings = None
        revision = place.revision.number
        if is_changed or files.finished(revision) < len(done) or not page.exists():
            if has_changed_containers(plan, place.sources):
                raise RunStopped(
                    "the source changed while the run was working; what is done is kept, and the same command looks "
                    "anew at what is there"
                )
            _write_target(place, done, watched)
            findings = _write_report(place, done, watched)
            sweep(place, began)
            files.finish(len(done), revision)
    return Summary(
        files.path, len(plan), place.parts.counts(done), findings or _read_findings(files.path / SUMMARY), page
    )


def _write_target(place: RunContext, done: Sequence[Shard], watched: Watched) -> None:
    """Give the target all records; those it could not take have failed."""
    placed = _told(place.parts.placed(done), watched)
    left = place.target.finish(_as_they_stand(place, placed))
    if left:
        _amend(place, done, left)


def _as_they_stand(place: RunContext, placed: Iterable[Placed]) -> Iterator[Record]:
    """Records for the target. What it was given before is kept, not written again: somebody may have changed it."""
    finished = place.files.finished(place.revision.number)
    settled = frozenset() if finished else place.revision.settled()
    for shard, record in placed:
        is_given = shard.number < finished or bool(settled) and mark(record) in settled
        if not is_given or record.status != "done":
            yield record
        elif not place.is_gone(record):
            yield replace(record, status="kept")


def _amend(place: RunContext, done: Sequence[Shard], left: Iterable[Rejected]) -> None:
    reasons = {(each.source, each.key): each.reason for each in left}
    for shard in done:
        records = place.parts.read(shard)
        amended = [
            failed(record, reasons[record.name]) if record.name in reasons and record.status != "failed" else record
            for record in records
        ]
        if amended != records:
            place.parts.write(shard, amended)
            place.parts.finish(shard, amended)


def _write_report(place: RunContext, done: Sequence[Shard], watched: Watched) -> Findings:
    findings = find((record for _, record in _told(place.parts.placed(done), watched)), place.settings.wording)
    album = Album(place.thumbnails, lambda: _told(place.parts.placed(done), watched))
    title = ", ".join(source.uri for source in place.sources)
    write_report(place.files.path, album, findings, place.files.told(), album.thumbnail, title)
    return findings


def _told(placed: Iterable[Placed], watched: Watched) -> Iterator[Placed]:
    """The same, with a word to the watcher now and then."""
    for number, each in enumerate(placed):
        if number % _AT_ONCE == 0:
            watched.again()
        yield each


def _read_findings(path: Path) -> Findings | None:
    """What summary.json says; None if it cannot be read."""
    try:
        told = json.loads(path.read_text(encoding="utf-8"))
        found = tuple(
            Finding(**{**each, "keys": tuple(each["keys"]), "groups": tuple(map(tuple, each["groups"]))})
            for each in told["findings"]
        )
        scores = {name: ScoreSummary(**score) for name, score in told["scores"].items()}
        return Findings(told["total"], told["statuses"], told["reasons"], scores, found)
    except (OSError, ValueError, KeyError, TypeError):
        return None
