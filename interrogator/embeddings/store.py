"""EmbeddingStore: phrases in, their table out; what is not on disk yet is encoded and kept."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch
from torch import Tensor

from ..errors import ModelError
from ..phrases import Phrases
from ..progress import Progress
from ..rows import Rows
from .batch_policy import BatchPolicy
from .cache_files import DamagedFile, WarnOnce
from .compaction import ReadersLock
from .identity import EncoderIdentity
from .row_index import SMALLEST_INDEXED_LIST, Listing, Note, RowIndex, laid_out, read_index, write_index
from .segments import (
    Segment,
    are_unit_rows,
    memory_segment,
    open_segment,
    phrase_key,
    segment_paths,
    write_segment,
)
from .store_folder import INDEXES, SEGMENTS, make_folder

Encode = Callable[[Sequence[str]], Tensor]


@dataclass(frozen=True, eq=False)
class KeptList:
    """What a store holds of a list: rows [N, D] float16 on the CPU, mostly maps of files, and the list's notes.

    A note is made, or read and checked, when it is called; keep what it gives.
    """

    rows: Rows
    notes: Mapping[str, Note]


class EmbeddingStore:
    """The rows of one encoder. Made by `EmbeddingCache.open`; safe to use from several threads, one at a time.

    Trouble with the disk never stops a table: it is logged once, and the rows stay in memory.
    """

    def __init__(
        self, root: Path, folder: Path | None, identity: EncoderIdentity, policy: BatchPolicy, warnings: WarnOnce
    ) -> None:
        self.identity = identity
        self._root = root
        self._folder = folder  # None until the first write
        self._policy = policy
        self._warnings = warnings
        self._lock = threading.RLock()
        self._readers = ReadersLock(folder) if folder else None
        self._writable = True
        self._opened: dict[str, Segment] = {}  # by file name: mapped, keys perhaps unread
        self._order: list[Segment] = []  # those whose keys were read, in the order of `_places`
        self._starts: list[int] = []  # the number of the first row of each
        self._rows = 0
        self._places: dict[bytes, int] = {}  # phrase key -> row number over all of `_order`

    @property
    def path(self) -> Path | None:
        """The store's folder; None while nothing was written."""
        return self._folder

    @property
    def writable(self) -> bool:
        """False once a write failed: from then on new rows live in memory only."""
        return self._writable

    def close(self) -> None:
        """Stops counting as a reader; tables stay valid where open files may be removed (not on Windows)."""
        if self._readers:
            self._readers.release()

    def table(self, phrases: Sequence[str], encode: Encode, progress: Progress | None = None) -> Tensor:
        """The rows of `phrases`, [N, D] float16 on the CPU, in their order; duplicates are allowed.

        Phrases without a row are given to `encode`, each once, some at a time; it answers unit rows [n, D] of any
        float dtype. `progress(done, total)` counts those phrases, is called before each batch and at the end, and may
        raise to cancel: what was finished is on disk by then. It is not called when nothing is missing.

        The table may be a map of a file: do not write into it. Raises ModelError when `encode` answers no unit rows.
        """
        texts = list(phrases)
        return self.listed(Listing(texts, Phrases.of(texts).digest), encode, progress).rows.joined()

    def listed(self, listing: Listing, encode: Encode, progress: Progress | None = None) -> KeptList:
        """The rows and notes of a list, as in `table`; looks at no phrase where an index of the list is saved."""
        with self._lock:
            kept = self._saved(listing)
            if kept is None:
                texts = list(listing.phrases)
                keys = [phrase_key(text) for text in texts]
                self._refresh()
                self._encode(self._without_rows(keys, texts), encode, progress)
                kept = self._assemble(listing, keys)
            return kept

    def add(self, phrases: Sequence[str], rows: Tensor) -> None:
        """Keeps unit rows [N, D] of `phrases` that came from elsewhere; of a phrase's rows the first one counts.

        Raises ModelError when the shape does not fit or the rows are not finite unit rows.
        """
        texts = list(phrases)
        rows = self._checked(rows, len(texts))
        with self._lock:
            self._refresh()
            fresh: dict[bytes, int] = {}
            for number, text in enumerate(texts):
                key = phrase_key(text)
                if key not in self._places:
                    fresh.setdefault(key, number)
            keys = list(fresh)
            picks = torch.tensor(list(fresh.values()), dtype=torch.int64)
            # Longer segments than in encoding: nothing is lost with them, and one map serves the whole list.
            step = 8 * self._policy.segment_rows
            for start in range(0, len(keys), step):
                self._keep(keys[start : start + step], rows[picks[start : start + step]])

    def missing(self, phrases: Sequence[str]) -> list[str]:
        """The phrases that have no row yet, each once, in the order in which they first appear."""
        with self._lock:
            self._refresh()
            return list(self._without_rows(map(phrase_key, phrases), phrases).values())

    def _without_rows(self, keys: Iterable[bytes], texts: Iterable[str]) -> dict[bytes, str]:
        """The phrases that have no row, by key, in the order in which they first appear."""
        return {key: text for key, text in zip(keys, texts, strict=True) if key not in self._places}

    def _saved(self, listing: Listing) -> KeptList | None:
        """A list through its saved index, reading no keys; None where that does not work out."""
        if self._folder is None or len(listing.phrases) < SMALLEST_INDEXED_LIST:
            return None
        try:
            index = read_index(self._folder / INDEXES, listing)
        except DamagedFile as error:  # stays in place: the new one, written in a moment, takes its name
            self._warnings.once(error.path, f"{error}; it is computed again")
            return None
        except OSError as error:
            self._warnings.unreadable(self._folder / INDEXES, error)
            return None
        segments = [self._open(self._folder / SEGMENTS / name) for name in index.names] if index else [None]
        present = [segment.rows for segment in segments if segment is not None]
        if index is None or len(present) < len(segments):
            return None
        rows = laid_out(present, index.segment, index.row, self.identity.width)
        return None if rows is None else KeptList(rows, index.notes)

    def _assemble(self, listing: Listing, keys: list[bytes]) -> KeptList:
        """A list [N] whose phrases all have a row; saves its index where all of them are on disk."""
        rows = np.fromiter((self._places[key] for key in keys), dtype=np.int64, count=len(keys))  # [N]
        starts = np.array(self._starts, dtype=np.int64)  # [S]
        home = np.searchsorted(starts, rows, side="right") - 1  # [N]: which of `_order`
        used, segment = np.unique(home, return_inverse=True)
        parts = [self._order[number] for number in used]
        local = (rows - starts[home] if len(rows) else rows).astype(np.int32)
        index = RowIndex(tuple(part.name for part in parts), segment.astype(np.int32).reshape(-1), local, listing.notes)
        table = laid_out([part.rows for part in parts], index.segment, index.row, self.identity.width)
        if table is None:
            raise AssertionError("a phrase's row lies outside its segment")
        if self._folder and self._writable and all(index.names) and len(keys) >= SMALLEST_INDEXED_LIST:
            try:
                write_index(self._folder / INDEXES, listing.digest, index)
            except OSError as error:
                self._warnings.once(self._folder / INDEXES, f"no index was saved in {self._folder} ({error})")
        return KeptList(table, listing.notes)

    def _encode(self, missing: dict[bytes, str], encode: Encode, progress: Progress | None) -> None:
        """Encodes distinct phrases batch by batch and keeps the rows, also when it is left by an exception.

        In alphabetical order: an encoder shares the work of texts that begin alike, if they come together.
        """
        keys = sorted(missing, key=lambda key: missing[key].casefold())
        texts = [missing[key] for key in keys]
        pending: list[Tensor] = []  # [n_i, D] float16 each, the rows of keys[kept:done]
        kept = 0
        began = time.monotonic()
        try:
            for done, rows in self._batches(texts, encode, progress):
                pending.append(rows)
                if done - kept >= self._policy.segment_rows or time.monotonic() - began >= self._policy.segment_seconds:
                    part, pending = torch.cat(pending), []
                    self._keep(keys[kept:done], part)
                    kept, began = done, time.monotonic()
        finally:
            if pending:
                part = torch.cat(pending)
                self._keep(keys[kept : kept + len(part)], part)
        if progress and texts:
            progress(len(texts), len(texts))

    def _batches(self, texts: list[str], encode: Encode, progress: Progress | None) -> Iterator[tuple[int, Tensor]]:
        """Pairs of: how many phrases are done, the rows [n, D] float16 of the last batch."""
        done, size = 0, self._policy.first_batch
        while done < len(texts):
            if progress:
                progress(done, len(texts))
            batch = texts[done : done + size]
            began = time.monotonic()
            with torch.no_grad():
                rows = self._checked(encode(batch), len(batch))
            done += len(batch)
            size = self._policy.next_batch(size, time.monotonic() - began)
            yield done, rows

    def _checked(self, rows: Tensor, count: int) -> Tensor:
        """Rows [n, D] as float16 on the CPU. Raises ModelError where they are not what a text encoder answers."""
        if rows.ndim != 2 or list(rows.shape) != [count, self.identity.width]:
            shape = [count, self.identity.width]
            raise ModelError(f"{self.identity.name}: text rows are {list(rows.shape)}, not {shape}")
        rows = rows.detach().to("cpu")
        if not are_unit_rows(rows):
            raise ModelError(f"{self.identity.name}: the text encoder answered rows that are not finite unit rows")
        return rows.to(torch.float16, copy=True).contiguous()  # a copy: the encoder may use its buffer again

    def _keep(self, keys: list[bytes], rows: Tensor) -> None:
        """Takes rows [n, D] float16 up, on disk if the disk lets us."""
        segment: Segment | None = None
        if self._writable:
            try:
                if self._folder is None:
                    self._folder = make_folder(self._root, self.identity, self._warnings)
                    self._readers = ReadersLock(self._folder)
                segment = write_segment(self._folder / SEGMENTS, keys, rows)
                self._opened[segment.name] = segment
            except (OSError, DamagedFile) as error:
                self._stop_writing(error)
        self._take_up(segment or memory_segment(keys, rows), keys)

    def _take_up(self, segment: Segment, keys: list[bytes]) -> None:
        self._order.append(segment)
        self._starts.append(self._rows)
        for number, key in enumerate(keys, start=self._rows):
            self._places.setdefault(key, number)
        self._rows += len(keys)

    def _refresh(self) -> None:
        """Reads the keys of segments that are new, be they from another process."""
        if self._folder is None:
            return
        try:
            paths = segment_paths(self._folder / SEGMENTS)
        except OSError as error:
            self._warnings.unreadable(self._folder / SEGMENTS, error)
            return
        known = {segment.name for segment in self._order}
        for path in paths:
            segment = None if path.name in known else self._open(path)
            if segment is not None:
                try:
                    self._take_up(segment, segment.phrase_keys())
                except DamagedFile as error:
                    del self._opened[path.name]
                    self._warnings.damaged(error)

    def _open(self, path: Path) -> Segment | None:
        """The segment at `path`, mapped once; None, after a complaint, where it cannot be used."""
        if path.name not in self._opened:
            try:
                self._opened[path.name] = open_segment(path, self.identity.width)
            except DamagedFile as error:
                self._warnings.damaged(error)
            except OSError as error:
                self._warnings.unreadable(path, error)
        return self._opened.get(path.name)

    def _stop_writing(self, error: Exception) -> None:
        self._writable = False
        where = self._folder or self._root
        self._warnings.once(where, f"{where} cannot be written ({error}); new rows stay in memory")
