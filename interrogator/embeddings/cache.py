"""EmbeddingCache: all stores under one folder."""

from __future__ import annotations

import os
import shutil
from collections.abc import Iterator
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path

from ..files import is_temp
from .batch_policy import BatchPolicy
from .cache_files import DamagedFile, WarnOnce, remove_stale_temps
from .compaction import merge_when_alone
from .identity import EncoderIdentity
from .segments import count_rows, segment_paths
from .store import EmbeddingStore
from .store_folder import INDEXES, SEGMENTS, find_folder, has_name, read_manifest, store_folders


@dataclass(frozen=True)
class StoreInfo:
    """One readable store: the encoder's name and dtype, number of rows, size in bytes, and folder."""

    name: str
    dtype: str
    rows: int
    bytes: int
    path: Path


class EmbeddingCache:
    """Text embeddings under `folder`, one store per encoder. The folder is not created before the first write."""

    def __init__(self, folder: str | Path, *, policy: BatchPolicy | None = None) -> None:
        self.folder = Path(folder)
        self._policy = policy or BatchPolicy()
        self._warnings = WarnOnce()

    def open(self, identity: EncoderIdentity) -> EmbeddingStore:
        """The store of the encoder with this `identity`: an existing one, or a new one.

        Rows of another encoder are never used, whatever its name; if one of the same name has other weights, tokenizer
        or dtype, the log says so. Unusable files cause a warning, never an error.
        """
        folder = find_folder(self.folder, identity, self._warnings)
        remove_stale_temps(self.folder)
        if folder:
            remove_stale_temps(folder, folder / SEGMENTS, folder / INDEXES)
            merge_when_alone(folder, identity.width, self._warnings)
        return EmbeddingStore(self.folder, folder, identity, self._policy, self._warnings)

    def folder_of(self, identity: EncoderIdentity) -> Path | None:
        """The folder of the store of the encoder with this `identity`; None until something was stored."""
        return find_folder(self.folder, identity, self._warnings)

    def list(self) -> list[StoreInfo]:
        """The readable stores, sorted by folder name. Changes nothing on disk."""
        stores = []
        for folder in self._folders():
            try:
                manifest = read_manifest(folder)
                rows = sum(_rows_in(path) for path in segment_paths(folder / SEGMENTS))
            except (DamagedFile, OSError):
                continue  # `open` warns and cleans up
            stores.append(StoreInfo(manifest.name, manifest.dtype, rows, _size(folder), folder))
        return stores

    def check(self) -> Iterator[tuple[StoreInfo, int, int]]:
        """Prove all rows of all readable stores: each store, its number of rows, and how many were damaged.

        Damaged rows are set aside, after a warning; they are encoded again when they are asked for.
        """
        for info in self.list():
            try:
                manifest = read_manifest(info.path)
            except (DamagedFile, OSError):
                continue
            identity = EncoderIdentity(manifest.name, manifest.dtype, manifest.tokenizer, manifest.probes)
            store = EmbeddingStore(self.folder, info.path, identity, self._policy, self._warnings)
            try:
                rows, damaged = store.prove()
            finally:
                store.close()
            yield info, rows, damaged

    def clear(self, name: str | None = None) -> int:
        """Remove the stores of the encoder `name`, or all stores, including damaged ones; returns the bytes freed."""
        freed = 0
        for folder in self._folders(damaged=True):
            if name is None or has_name(folder, name):
                freed += _remove(folder)
        if name is None:
            with suppress(OSError):
                for left in filter(lambda path: is_temp(path.name), self.folder.iterdir()):
                    freed += _remove(left)
        return freed

    def _folders(self, damaged: bool = False) -> tuple[Path, ...]:
        try:
            return tuple(store_folders(self.folder, damaged))
        except OSError as error:
            self._warnings.unreadable(self.folder, error)
            return ()


def _rows_in(path: Path) -> int:
    try:
        return count_rows(path)
    except (DamagedFile, OSError):
        return 0


def _remove(folder: Path) -> int:
    """Remove a folder as far as possible (Windows keeps mapped files); returns the bytes freed."""
    before = _size(folder)
    shutil.rmtree(folder, ignore_errors=True)
    return before - _size(folder)


def _size(folder: Path) -> int:
    total = 0
    for parent, _, names in os.walk(folder):
        for name in names:
            with suppress(OSError):
                total += os.stat(os.path.join(parent, name)).st_size
    return total
