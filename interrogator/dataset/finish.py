"""What the process that finds nothing left to do makes of a whole run: tables, findings, report."""

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
from .recording import failed
from .records import Item, Record
from .review.findings import Finding, Findings, ScoreSummary, TagCount, find, findings_of_left_out
from .review.report import PAGE, SUMMARY, write_report
from .review.thumbnails import Album
from .state.cleanup import sweep
from .state.glance import has_changed_containers
from .state.left_out import kept_left_out
from .state.originals import Originals
from .state.overviews import Overviews
from .state.parts import Placed
from .state.plan import Shard, mark
from .targets import Rejected
from .targets.target import item_of

_LOCK = "finish.lock"
_AT_ONCE = 1000


@dataclass(frozen=True)
class Summary:
    """How a run stands.

    Attributes:
        run: its folder.
        total: pictures in the plan.
        counts: pictures by status: done, kept, failed; those not reached yet are in none.
        findings: what to look at; None while shards are left. Without `ids` where the run was finished earlier.
        report: the page; None while shards are left.
        edited: captions that somebody has changed since an earlier call wrote them; they stay as they are.
    """

    run: Path
    total: int
    counts: dict[str, int]
    findings: Findings | None = None
    report: Path | None = None
    edited: int = 0


@dataclass(frozen=True)
class Standing:
    """How captions that were written earlier stand: `is_changed`, some were written again; `edited`, by somebody."""

    is_changed: bool
    edited: int


def put_back(
    context: RunContext, shards: Iterable[Shard], watched: Watched, is_changed: bool = False
) -> Standing:  # fmt: skip
    """Write captions again that are gone though their pictures exist, and count those that somebody has edited.

    Their text comes from the records: the same settings and weights would write it again.

    is_changed: whether tables and report are to be written again for another reason.
    """

    found, edited = is_changed, 0

    def is_missing(fields: Mapping[str, Any]) -> bool:
        is_elsewhere = fields["status"] == "kept" and fields.get("existing", "") is None and fields["caption"]
        if fields["status"] != "done" and not is_elsewhere:
            return False
        nonlocal edited
        item = Item(fields["key"], fields["source"])
        is_edited = context.was_edited(item, fields, since)
        if is_edited is not None:
            edited += is_edited
            return False
        return not context.sources[item.source].leaves_out(item)

    for shard in shards:
        since = context.parts.done_at(shard)
        missing = [record for record in context.parts.read(shard, is_missing) if not context.is_gone(record)]
        if missing:
            context.target.write(missing)
            found = True
        watched.again()
    return Standing(found, edited)


def finish(context: RunContext, standing: Standing, began: float, watched: Watched) -> Summary:
    """Write tables and report if nothing is left of the run and that was not done yet; how the run stands.

    Args:
        standing: of the captions that were there; where some were put back, tables are written again.
        began: when this process began to work on the run; older temporary files belong to nobody.

    Raises:
        OSError: the disk is full or gone.
        RunStopped: a source changed meanwhile.
    """
    files, plan = context.files, context.plan
    done = context.parts.done(plan)
    if len(done) < len(plan.shards) or not done:
        return Summary(files.path, len(plan), context.parts.counts(done), edited=standing.edited)
    page = files.path / PAGE
    with exclusive(files.path / _LOCK, watched.again):
        findings = None
        revision = context.revision.number
        if standing.is_changed or files.finished(revision) < len(done) or not page.exists():
            if has_changed_containers(plan, context.sources):
                raise RunStopped(
                    "the source changed during the run; finished captions are kept: run the same command again to "
                    "continue with its new content"
                )
            _write_target(context, done, watched)
            findings = _write_report(context, done, watched)
            sweep(context, began)
            files.finish(len(done), revision)
    return Summary(
        files.path, len(plan), context.parts.counts(done), findings or _read_findings(files.path / SUMMARY), page,
        standing.edited,
    )  # fmt: skip


def _write_target(context: RunContext, done: Sequence[Shard], watched: Watched) -> None:
    """Give the target all records; those that it rejects have failed."""
    if context.pictures:
        _place_pictures(context, done, watched)
    placed = _watched(context.parts.placed(done), watched)
    originals = Originals(context.files.path)
    originals.keep(context.target.files())
    left = context.target.finish(_for_target(context, placed))
    originals.seal(context.target.files())
    if left:
        _amend(context, done, left)


def _place_pictures(context: RunContext, done: Sequence[Shard], watched: Watched) -> None:
    """Put pictures beside the captions again that somebody removed; those that cannot be have failed."""
    for shard in done:
        missing = context.pictures.missing(zip(shard.items(), context.parts.read(shard), strict=True))
        left = context.pictures.place(missing)
        if left:
            _amend(context, [shard], left)
        watched.again()


def _for_target(context: RunContext, placed: Iterable[Placed]) -> Iterator[Record]:
    """Records for the target. Those it got earlier are kept, not written again: somebody may have edited them."""
    finished = context.files.finished(context.revision.number)
    settled = frozenset() if finished else context.revision.settled()
    for shard, record in placed:
        is_given = shard.number < finished or bool(settled) and mark(record) in settled
        if not is_given or record.status != "done":
            yield record
        elif not context.is_gone(record):
            yield replace(record, status="kept")


def _amend(context: RunContext, done: Sequence[Shard], left: Iterable[Rejected]) -> None:
    reasons = {(each.source, each.key): each.reason for each in left}
    for shard in done:
        records = context.parts.read(shard)
        amended = [
            failed(record, reasons[record.name]) if record.name in reasons and record.status != "failed" else record
            for record in records
        ]
        if amended != records:
            context.parts.write(shard, amended)
            context.parts.finish(shard, amended)


def _write_report(context: RunContext, done: Sequence[Shard], watched: Watched) -> Findings:
    found = (record for _, record in _watched(context.parts.placed(done), watched))
    findings = find(found, context.settings.rules, rules_of=lambda each: context.for_picture.of(item_of(each)).rules)
    findings = replace(findings, found=(*findings.found, *findings_of_left_out(kept_left_out(context.files.path))))
    album = Album(context.thumbnails, lambda: _watched(context.parts.placed(done), watched))
    title = ", ".join(source.uri for source in context.sources)
    overview = Overviews(context.files.path, context.revision.number).settled()
    common = () if overview is None else overview.common
    write_report(context.files.path, album, findings, context.files.read(), album.thumbnail, title, common)
    return findings


def _watched(placed: Iterable[Placed], watched: Watched) -> Iterator[Placed]:
    """The same, with a call of the watcher now and then."""
    for number, each in enumerate(placed):
        if number % _AT_ONCE == 0:
            watched.again()
        yield each


def _read_findings(path: Path) -> Findings | None:
    """The findings in summary.json; None if it cannot be read."""
    try:
        summary = json.loads(path.read_text(encoding="utf-8"))
        found = tuple(
            Finding(**{**each, "keys": tuple(each["keys"]), "groups": tuple(map(tuple, each["groups"]))})
            for each in summary["findings"]
        )
        scores = {name: ScoreSummary(**score) for name, score in summary["scores"].items()}
        tags = tuple(TagCount(**each) for each in summary.get("tags", ()))  # earlier versions had none
        return Findings(summary["total"], summary["statuses"], summary["reasons"], scores, found, tags=tags)
    except (OSError, ValueError, KeyError, TypeError):
        return None
