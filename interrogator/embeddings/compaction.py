"""The readers' lock of a store, and joining small segments into one when nobody reads.

Joining is a convenience, so it happens only where it is plainly safe: with an exclusive lock that no store object of
any process shares. Where there are no such locks (Windows, some network disks), segments stay as they are.
"""

from __future__ import annotations

import os
import weakref
from contextlib import suppress
from pathlib import Path

import torch

from ..locks import has_shared_locks, try_lock, wait_for_shared_lock
from .cache_files import DamagedFile, WarnOnce
from .row_index import INDEX_SUFFIX
from .segments import Segment, open_segment, segment_paths, write_segment
from .store_folder import INDEXES, LOCK, SEGMENTS

MANY_SEGMENTS = 64
# Writing takes about three times this in memory: the maps, the joined rows, the file's bytes.
MERGED_BYTES = 256 << 20


class ReadersLock:
    """A shared hold on a store's lock file until `release` or the end of the object; holds nothing where it cannot."""

    def __init__(self, folder: Path) -> None:
        self._descriptor = _locked(folder / LOCK, exclusive=False)
        self.release = weakref.finalize(self, _unlock, self._descriptor)


def merge_when_alone(folder: Path, width: int, warnings: WarnOnce) -> None:
    """Joins the small segments of a store of more than MANY_SEGMENTS, if no other store object is open on it."""
    try:
        paths = segment_paths(folder / SEGMENTS)
    except OSError:
        return
    if len(paths) <= MANY_SEGMENTS:
        return
    descriptor = _locked(folder / LOCK, exclusive=True)
    if descriptor is None:
        return
    try:
        _merge(folder, paths, width, warnings)
    finally:
        _unlock(descriptor)


def _merge(folder: Path, paths: list[Path], width: int, warnings: WarnOnce) -> None:
    group = _small_segments(paths, width, warnings)
    if len(group) < 2:
        return
    seen: dict[bytes, None] = {}
    keys: list[bytes] = []
    kept = []  # [n_i, D] each
    merged: list[Path] = []
    for segment in group:
        try:
            own = segment.phrase_keys()
        except DamagedFile as error:
            warnings.damaged(error)
            continue
        fresh = [row for row, key in enumerate(own) if key not in seen]  # two writers may have had the same phrase
        seen.update(dict.fromkeys(own))
        keys += [own[row] for row in fresh]
        kept.append(segment.rows[torch.tensor(fresh, dtype=torch.int64)])
        if segment.path:
            merged.append(segment.path)
    if not keys:
        return
    try:
        write_segment(folder / SEGMENTS, keys, torch.cat(kept), created=group[0].created)
    except (OSError, DamagedFile) as error:
        warnings.once(folder / SEGMENTS, f"segments in {folder} were not merged ({error})")
        return
    # Only now, with the joined rows safe on disk. A crash in here leaves rows twice, which the next merge tidies.
    for path in (*merged, *(folder / INDEXES).glob(f"*{INDEX_SUFFIX}")):
        with suppress(OSError):
            path.unlink()


def _small_segments(paths: list[Path], width: int, warnings: WarnOnce) -> list[Segment]:
    """The segments worth joining, oldest first, up to MERGED_BYTES in all."""
    found: list[Segment] = []
    for path in paths:
        try:
            found.append(open_segment(path, width))
        except DamagedFile as error:
            warnings.damaged(error)
        except OSError as error:
            warnings.unreadable(path, error)
    group: list[Segment] = []
    total = 0
    for segment in sorted(found, key=lambda segment: (segment.created, segment.name)):
        size = segment.rows.nbytes
        if size <= MERGED_BYTES // 4 and total + size <= MERGED_BYTES:
            group.append(segment)
            total += size
    return group


def _locked(path: Path, exclusive: bool) -> int | None:
    """An open descriptor that holds the lock, or None. Waits only for a shared lock, that is for a merge to end."""
    if not has_shared_locks():
        return None
    try:
        descriptor = os.open(path, os.O_RDONLY)  # enough for flock, and works in a read-only cache
    except OSError:
        return None
    try:
        if not exclusive:
            wait_for_shared_lock(descriptor)
            return descriptor
        if try_lock(descriptor):
            return descriptor
    except OSError:
        pass
    os.close(descriptor)
    return None


def _unlock(descriptor: int | None) -> None:
    if descriptor is not None:
        os.close(descriptor)
