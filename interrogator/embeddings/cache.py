"""EmbeddingCache: all stores under one folder."""

from __future__ import annotations

import os
import shutil
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
    """One readable store: its encoder's name and dtype, the rows it holds, its size in bytes and its folder."""

    name: str
    dtype: str
    rows: int
    bytes: int
    path: Path


class EmbeddingCache:
    """Text embeddings under `folder`, a store for each encoder. Nothing is made there before the first write."""

    def __init__(self, folder: str | Path, *, policy: BatchPolicy | None = None) -> None:
        self.folder = Path(folder)
        self._policy = policy or BatchPolicy()
        self._warnings = WarnOnce()

    def open(self, identity: EncoderIdentity) -> EmbeddingStore:
        """The store of the encoder that answers like `identity`: one on disk, or a new one.

        Rows of another encoder are not used, whatever it is called; a namesake with other weights, tokenizer or dtype
        is mentioned in the log. Files that cannot be used are complained about, never raised.
        """
        folder = find_folder(self.folder, identity, self._warnings)
        remove_stale_temps(self.folder)
        if folder:
            remove_stale_temps(folder, folder / SEGMENTS, folder / INDEXES)
            merge_when_alone(folder, identity.width, self._warnings)
        return EmbeddingStore(self.folder, folder, identity, self._policy, self._warnings)

    def list(self) -> list[StoreInfo]:
        """The readable stores, by folder name. Changes nothing on disk."""
        found = []
        for folder in self._folders():
            try:
                card = read_manifest(folder)
                rows = sum(_rows_in(path) for path in segment_paths(folder / SEGMENTS))
            except (DamagedFile, OSError):
                continue  # `open` warns about it and tidies up
            found.append(StoreInfo(card.name, card.dtype, rows, _size(folder), folder))
        return found

    def clear(self, name: str | None = None) -> int:
        """Removes the stores of the encoder `name`, or all of them, damaged ones too; the bytes that this freed."""
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
    """Removes a folder as far as the operating system lets us (Windows keeps mapped files); the bytes freed."""
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
