"""The readers' lock of a store, and merging small segments into one when nobody reads.

Merging is optional, so it happens only when it is clearly safe: under an exclusive lock that no store object of any
process shares. Without such locks (Windows, some network drives), segments stay as they are.
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
# Writing takes about three times this much memory: the maps, the merged rows, the bytes of the file.
MERGED_BYTES = 256 << 20


class ReadersLock:
    """A shared hold on a store's lock file until `release` or the end of the object; holds nothing where it cannot."""

    def __init__(self, folder: Path) -> None:
        self._descriptor = _locked(folder / LOCK, exclusive=False)
        self.release = weakref.finalize(self, _unlock, self._descriptor)


def merge_when_alone(folder: Path, width: int, warnings: WarnOnce) -> None:
    """Merge the small segments of a store with more than MANY_SEGMENTS, if no other store object has it open."""
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
    written: dict[bytes, None] = {}
    keys: list[bytes] = []
    parts = []  # [n_i, D] each
    merged: list[Path] = []
    for segment in group:
        try:
            own = segment.phrase_keys()
        except DamagedFile as error:
            warnings.damaged(error)
            continue
        wrong = set(segment.wrong_rows().tolist())
        if wrong:
            warnings.once(segment.name, f"{len(wrong)} of {len(own)} rows of {segment.path} are damaged and left out")
        # Two writers may have had the same phrase.
        fresh = [row for row, key in enumerate(own) if key not in written and row not in wrong]
        written.update(dict.fromkeys(own[row] for row in fresh))
        keys += [own[row] for row in fresh]
        parts.append(segment.rows[torch.tensor(fresh, dtype=torch.int64)])
        if segment.path:
            merged.append(segment.path)
    if not keys:
        return
    try:
        write_segment(folder / SEGMENTS, keys, torch.cat(parts), created=group[0].created)
    except (OSError, DamagedFile) as error:
        warnings.once(folder / SEGMENTS, f"cannot merge the segments in {folder} ({error})")
        return
    # Only now are the merged rows safe on disk. A crash here leaves rows twice, which the next merge cleans up.
    for path in (*merged, *(folder / INDEXES).glob(f"*{INDEX_SUFFIX}")):
        with suppress(OSError):
            path.unlink()


def _small_segments(paths: list[Path], width: int, warnings: WarnOnce) -> list[Segment]:
    """The segments worth merging, oldest first, up to MERGED_BYTES in total."""
    segments: list[Segment] = []
    for path in paths:
        try:
            segments.append(open_segment(path, width))
        except DamagedFile as error:
            warnings.damaged(error)
        except OSError as error:
            warnings.unreadable(path, error)
    group: list[Segment] = []
    total = 0
    for segment in sorted(segments, key=lambda segment: (segment.created, segment.name)):
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
