"""A look at what the sources hold now, beside what a run was planned for; reads no picture.

Equal versions (see `Item`) prove that the bytes of a picture are the same.
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterable, Iterator, Sequence

from ..records import Item
from ..sources.io.folder_walk import written_at
from ..sources.selection import SelectedSource
from ..sources.source import container_version
from .plan import Plan, mark


class Glance:
    """A look at all items while they are listed: are those that are planned still the same? Reads no picture.

    Attributes:
        changed: planned items whose version is another one.
        left_out: marks of planned items that the sources hold and the run does not take any more.
        new: items that are not planned.
    """

    def __init__(self, plan: Plan, sources: Sequence[SelectedSource]) -> None:
        self._plan = plan
        self._sources = sources
        self._left = _stamps(plan)
        self._unreadable: set[tuple[int, str]] = set()
        self.changed = self.new = 0
        self.left_out: set[bytes] = set()

    def watch(self, items: Iterable[Item]) -> Iterator[Item]:
        """The same items; all of them have to be taken."""
        for item in items:
            planned = self._left.pop(mark(item), None)
            if planned is None:
                self.new += 1
            elif not item.problem and not proves(planned, item):
                self.changed += 1
            if is_unreadable_container(item, self._sources):
                self._unreadable.add((item.source, item.key))
            yield item

    def is_stale(self) -> bool:
        """Whether the plan no longer holds, after all items were listed."""
        return self.changed > 0 or self.gone()[1] > 0

    def gone(self) -> tuple[int, int]:
        """Planned items that were not met: files of their own; pictures in containers that could be read."""
        files = members = 0
        if self._left:
            for item in self._plan.items():
                if mark(item) in self._left and self._sources[item.source].leaves_out(item):
                    self.left_out.add(mark(item))
                elif mark(item) in self._left:
                    container = self._sources[item.source].container(item)
                    files += not container and item.key not in self._sources[item.source].containers
                    members += bool(container) and (item.source, container) not in self._unreadable
        return files, members


def has_changed_containers(plan: Plan, sources: Sequence[SelectedSource]) -> bool:
    """Whether a container that pictures were planned from was written again since, or is gone. Lists nothing."""
    if not any(source.containers for source in sources):
        return False
    planned: dict[tuple[int, str], tuple[str, int]] = {}
    for shard in plan.shards:
        for item in shard.items():
            is_passed = bool(item.problem) or sources[item.source].leaves_out(item)
            container = "" if is_passed else sources[item.source].container(item)
            if container:
                planned[item.source, container] = (container_version(item), shard.planned_at)
    for (number, container), (version, planned_at) in planned.items():
        source = sources[number]
        now = source.version(container)
        is_proven = now == version or not version and _is_older(now, planned_at)
        if container not in source.containers or not is_proven:
            return True
    return False


def describe_changes(gone: int, new: int, changed: int) -> str:
    """One sentence; "" if nothing is gone or changed: pictures that came are no surprise."""
    if not gone and not changed:
        return ""
    return (
        f"the source changed since this run was planned: {gone} {'picture' if gone == 1 else 'pictures'} gone, "
        f"{new} new, {changed} changed; captions stay with their pictures, and what is new or changed is captioned"
    )


def is_unreadable_container(item: Item, sources: Sequence[SelectedSource]) -> bool:
    return bool(item.problem) and item.key in sources[item.source].containers


def _stamps(plan: Plan) -> dict[bytes, bytes]:
    return {mark(item): stamp(item, shard.planned_at) for shard in plan.shards for item in shard.items()}


def stamp(item: Item, planned_at: int) -> bytes:
    """What is kept of a planned item to know it again."""
    if item.whole_version:
        return b"v" + _short(item.whole_version)
    # From a plan of the first version: what it has is the size, the position, and when it was written down.
    return b"t" + _short(item.size) + _short(item.position[:1]) + planned_at.to_bytes(8)


def proves(stamp: bytes, item: Item) -> bool:
    """Whether an item has the bytes now that it had when this was its stamp."""
    if stamp[:1] == b"v":
        return stamp[1:] == _short(item.whole_version)
    if stamp[1:9] != _short(item.size) or "@" in item.version and stamp[9:17] != _short(item.position[:1]):
        return False
    return not item.version or _is_older(item.version, int.from_bytes(stamp[17:]))


def _is_older(version: str, planned_at: int) -> bool:
    time = written_at(version)
    return time is not None and time < planned_at


def _short(value: object) -> bytes:
    return hashlib.blake2b(str(value).encode("utf-8", "surrogatepass"), digest_size=8).digest()
