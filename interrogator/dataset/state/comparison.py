"""What the sources hold now, compared with what a run was planned for.

A record belongs to the bytes of a picture. Equal versions (see `Item`) prove that they are the same without reading
them; where versions differ, the bytes are read and their digest is compared with the record's. A picture is looked for
under its own name; one that has none but its position in a table (`a.parquet#7`) is looked for by its digest, wherever
it is now. Pictures behind URLs have no version: their name has to do.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, replace
from itertools import groupby
from typing import NamedTuple

from ...errors import RunStopped
from ..captioning.masked import content_digest, mask_data
from ..records import Item, Record
from ..sources.selection import SelectedSource
from ..sources.source import member_version
from ..targets import Target, text_of
from ..targets.target import item_of
from .glance import describe_changes, is_unreadable_container, proves, stamp
from .parts import Parts
from .plan import Plan, mark
from .revision import Withdrawal, is_ours

_POSITION = re.compile(r".*#\d+", re.DOTALL)


class Match(NamedTuple):
    """A record that belongs to an item, under the item's name; and the shard of the plan before, and the name there."""

    record: Record
    shard: int
    name: tuple[int, str]


@dataclass(slots=True)
class _Planned:
    """An item of the plan before, and where its record is, if there is one."""

    stamp: bytes
    is_member: bool
    has_position: bool
    shard: int = -1
    offset: int = -1
    is_used: bool = False
    is_moved: bool = False


class Comparison:
    """Finds the records of a plan again for the items that there are now."""

    def __init__(
        self, plan: Plan, parts: Parts, sources: Sequence[SelectedSource], target: Target, again: Callable[[], object],
        retry_failed: bool = False,
    ) -> None:  # fmt: skip
        """Read the plan.

        Args:
            again: called while pictures are read; may raise to stop.
            retry_failed: take those that failed for pictures without a record.
        """
        self._plan = plan
        self._parts = parts
        self._sources = sources
        self._target = target
        self._again = again
        self._planned: dict[bytes, _Planned] = {}
        self._by_digest: dict[bytes, list[_Planned]] = {}  # of those without a name
        self._seen: set[bytes] = set()
        self._unread: set[bytes] = set()  # from containers that cannot be read at the moment
        self._gone = self._new = self._changed = self._nameless = 0
        self._index(retry_failed)

    def listed(self) -> Iterator[Item]:
        """The items that are taken or have records; then, of each source, the files of their own that are gone.

        Records of those are kept, and so are the records from a container that cannot be read at the moment.
        """
        for source in self._sources:
            unreadable = set()
            for item, is_taken in source.all_items():
                if not is_taken and not self._has_record(item):
                    self._planned.pop(mark(item), None)
                    continue
                self._seen.add(mark(item))
                yield item
                if is_unreadable_container(item, self._sources):
                    unreadable.add(item.key)
                    yield from self._left(source, lambda container, key=item.key: container == key)  # type: ignore[misc]
            yield from self._left(source, lambda container: not container)

    def match(self, items: Sequence[Item]) -> list[Match | None]:
        """For each of some items, all of which are asked for once, its record; None if it is to be captioned."""
        digests = self._digests([item for item in items if self._has_to_be_read(item)])
        return [self._matched(item, digests.get(item.name)) for item in items]

    def withdrawals(self) -> list[Withdrawal]:
        """Records, of those that were not matched under their own name, whose captions are to be taken back."""
        found = [
            Withdrawal(record, planned.is_moved or _has_position(item_of(record)))
            for planned in self._planned.values()
            if planned.offset >= 0 and (planned.is_moved or not planned.is_used)
            if (record := self._record(planned)).is_for_target
        ]
        # Tars of captions are written one after the other.
        return sorted(found, key=lambda each: (each.record.source, self._container(item_of(each.record))))

    def described(self) -> str:
        """One sentence on what changed; "" if no picture did."""
        gone, pending = self._gone, 0
        for key, planned in self._planned.items():
            if planned.has_position and planned.offset < 0:
                pending += 1  # nobody knows which picture that was
            elif planned.is_member and not planned.is_used:
                gone += planned.has_position or key not in self._seen
        gone += max(0, pending - self._nameless)
        return describe_changes(gone, self._new + max(0, self._nameless - pending), self._changed)

    def _has_record(self, item: Item) -> bool:
        planned = self._planned.get(mark(item))
        return planned is not None and planned.offset >= 0

    def _index(self, retry_failed: bool) -> None:
        for shard in self._plan.shards:
            for item in shard.items():
                if not shard.again or mark(item) not in self._planned:
                    known_by = stamp(item, shard.planned_at)
                    is_member = bool(self._container(item))
                    self._planned[mark(item)] = _Planned(known_by, is_member, is_member and _has_position(item))
            for offset, record in self._parts.located(shard):
                planned = self._planned[mark(record)]
                is_kept = record.status != "failed" or not retry_failed
                planned.shard, planned.offset = (shard.number, offset) if is_kept else (-1, -1)
        for planned in self._planned.values():
            if planned.offset >= 0 and planned.has_position:
                record = self._record(planned)
                if record.sha256:
                    self._by_digest.setdefault(bytes.fromhex(record.sha256), []).append(planned)

    def _left(self, source: SelectedSource, wanted: Callable[[str], bool]) -> Iterator[Item]:
        """Planned items of a source that are not listed, from a wanted container."""
        for item in self._plan.items():
            key = mark(item)
            if item.source != source.number or key in self._seen or not wanted(source.container(item)):
                continue
            if key not in self._planned:
                continue  # it is not taken any more, and nothing was made of it
            if item.key in source.containers:
                continue  # it could not be read, and now can
            self._seen.add(key)
            planned = self._planned[key]
            if not planned.is_member:
                self._gone += 1
                yield item
            elif planned.offset >= 0:
                # When the container can be read again it will have another version, and be looked through.
                self._unread.add(key)
                version = source.version(source.container(item))
                yield replace(item, version=member_version(version, item.position[0]))

    def _has_to_be_read(self, item: Item) -> bool:
        planned = self._planned.get(mark(item))
        if item.problem or planned is not None and self._is_proven(planned, item):
            return False
        if _has_position(item) and self._container(item):
            return bool(self._by_digest)
        if planned is None or planned.offset < 0:
            return False
        record = self._record(planned)
        return bool(record.sha256) and (planned.is_member or record.status != "failed")

    def _digests(self, items: Sequence[Item]) -> dict[tuple[int, str], str]:
        found: dict[tuple[int, str], str] = {}
        for number, own in groupby(items, key=lambda item: item.source):
            for item, data in self._sources[number].read(list(own)):
                if isinstance(data, RunStopped):
                    raise data
                mask = mask_data(self._sources[number], item)
                if not isinstance(data, Exception) and not isinstance(mask, Exception):
                    found[item.name] = content_digest(data, mask)
                self._again()
        return found

    def _matched(self, item: Item, digest: str | None) -> Match | None:
        planned = self._planned.get(mark(item))
        if planned is not None and planned.offset >= 0 and not planned.is_used:
            record = self._record(planned)
            is_same = self._is_proven(planned, item) or bool(digest) and digest == record.sha256
            # A file that failed is tried again when somebody asks for it; one that is no file any more is gone.
            if is_same or not planned.is_member and (record.status == "failed" or item.problem):
                planned.is_used = True
                return Match(record, planned.shard, record.name)
        if item.problem:
            return None
        if _has_position(item) and self._container(item):
            return self._found_elsewhere(item, planned, digest)
        if planned is None:
            self._new += 1
        elif digest is not None or planned.offset >= 0 and planned.is_member:
            self._changed += 1
        return None

    def _found_elsewhere(self, item: Item, own: _Planned | None, digest: str | None) -> Match | None:
        """The record of a picture that has another position now."""
        for planned in self._by_digest.get(bytes.fromhex(digest or ""), []):
            if planned.is_used:
                continue
            record = self._record(planned)
            if record.existing is not None or not self._is_free(item, own):
                continue  # the caption may hold words that stood there before: it is made anew
            planned.is_used = planned.is_moved = True
            now = self._target.existing(item_of(record)) if record.is_for_target else None
            if now is not None and text_of(now) and not is_ours(record.caption, record.captions, now):
                record = replace(record, caption=text_of(now), captions=(text_of(now),))  # somebody changed it since
            return Match(replace(record, key=item.key), planned.shard, record.name)
        self._nameless += 1
        return None

    def _is_free(self, item: Item, own: _Planned | None) -> bool:
        """Whether nothing stood where an item's caption belongs, the caption of an earlier picture there aside."""
        if own is not None and own.offset >= 0:
            return self._record(own).existing is None
        return self._target.existing(item) is None

    def _is_proven(self, planned: _Planned, item: Item) -> bool:
        return proves(planned.stamp, item) or mark(item) in self._unread

    def _record(self, planned: _Planned) -> Record:
        return self._parts.at(planned.shard, planned.offset)

    def _container(self, item: Item) -> str:
        return self._sources[item.source].container(item)


def _has_position(item: Item) -> bool:
    """Whether an item's key says only where it is: a row without a name, or one of several of the same name."""
    return _POSITION.fullmatch(item.key) is not None
