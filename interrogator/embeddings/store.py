"""EmbeddingStore: phrases in, table of embeddings out; missing rows are encoded and saved."""

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
from .row_index import SMALLEST_INDEXED_LIST, Note, PhraseList, RowIndex, laid_out, read_index, write_index
from .segments import (
    Segment,
    are_unit_rows,
    memory_segment,
    open_segment,
    phrase_key,
    segment_paths,
    write_segment,
)
from .store_folder import INDEXES, SEGMENTS, find_folder, make_folder

Encode = Callable[[Sequence[str]], Tensor]


@dataclass(frozen=True, eq=False)
class ListRows:
    """The rows of a list, [N, D] float16 on the CPU and mostly memory-mapped, and its notes.

    Calling a note computes it, or reads and checks it; keep the result.
    """

    rows: Rows
    notes: Mapping[str, Note]


class EmbeddingStore:
    """The rows of one encoder. Created by `EmbeddingCache.open`; several threads may use it, one at a time.

    Disk problems never prevent a table: they are logged once, and the rows stay in memory.
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
        self._unusable: set[str] = set()  # names of segments with damaged rows that could not be set aside
        self._open_segments: dict[str, Segment] = {}  # by file name; memory-mapped, keys possibly not read yet
        self._segments: list[Segment] = []  # those whose keys are in `_row_numbers`, in order
        self._starts: list[int] = []  # the number of the first row of each segment
        self._row_count = 0
        self._row_numbers: dict[bytes, int] = {}  # phrase key -> row number, counted over all of `_segments`

    @property
    def path(self) -> Path | None:
        """The store's folder; None until something has been written."""
        return self._folder

    @property
    def writable(self) -> bool:
        """False after a failed write: from then on, new rows are held in memory only."""
        return self._writable

    def close(self) -> None:
        """Stop counting as a reader. Tables stay valid where open files may be deleted (not on Windows)."""
        if self._readers:
            self._readers.release()

    def prove(self) -> tuple[int, int]:
        """Check every row on disk against its checksum: the number of rows, and of those that were not as written.

        A segment with damaged rows is set aside, after a warning; its sound rows are kept. The others are encoded
        again when they are asked for.
        """
        total = lost = 0
        with self._lock:
            for path in self._paths():
                segment = self._open(path)
                if segment is None:
                    continue
                total += len(segment.rows)
                try:
                    keys = segment.phrase_keys()
                except DamagedFile as error:
                    lost += len(segment.rows)
                    self._set_aside(error)
                    continue
                wrong = segment.wrong_rows()
                if len(wrong):
                    lost += len(wrong)
                    sound = np.setdiff1d(np.arange(len(keys)), wrong)
                    rows = segment.rows[torch.from_numpy(sound)]
                    self._set_aside(DamagedFile(path, f"{len(wrong)} of its {len(keys)} rows are damaged"))
                    if len(sound):
                        self._keep([keys[row] for row in sound.tolist()], rows)
        return total, lost

    def table(self, phrases: Sequence[str], encode: Encode, progress: Progress | None = None) -> Tensor:
        """The rows of `phrases`, [N, D] float16 on the CPU, in order; duplicates are allowed.

        Phrases without a row are passed to `encode`, each once and in batches; it must return unit rows [n, D] of any
        float dtype. `progress(done, total)` counts these phrases; it is called before each batch and at the end, and
        may raise to cancel: finished rows are on disk by then. It is not called if no row is missing.

        The table may be a memory-mapped file, so do not write to it. Raises ModelError if `encode` does not return unit
        rows.
        """
        texts = list(phrases)
        return self.embed_list(PhraseList(texts, Phrases.of(texts).digest), encode, progress).rows.joined()

    def embed_list(
        self, phrase_list: PhraseList, encode: Encode, progress: Progress | None = None, again: Encode | None = None
    ) -> ListRows:
        """The rows and notes of a list, as in `table`; reads no phrase if an index of the list is saved.

        The rows are proved when they are used: what is damaged is then passed to `again`, by default `encode`.
        """
        renew = self._renewal(phrase_list, again or encode)
        with self._lock:
            rows = self._saved(phrase_list, renew)
            if rows is None:
                texts = list(phrase_list.phrases)
                keys = [phrase_key(text) for text in texts]
                self._refresh()
                self._encode(self._without_rows(keys, texts), encode, progress)
                rows = self._assemble(phrase_list, keys, renew)
            return rows

    def add(self, phrases: Sequence[str], rows: Tensor) -> None:
        """Store unit rows [N, D] of `phrases` from another source; the first row of a phrase counts.

        Raises ModelError if the shape does not match or the rows are not finite unit rows.
        """
        texts = list(phrases)
        rows = self._checked(rows, len(texts))
        with self._lock:
            self._refresh()
            fresh: dict[bytes, int] = {}
            for number, text in enumerate(texts):
                key = phrase_key(text)
                if key not in self._row_numbers:
                    fresh.setdefault(key, number)
            keys = list(fresh)
            picks = torch.tensor(list(fresh.values()), dtype=torch.int64)
            # Longer segments than when encoding: a crash loses no work, and one map serves the whole list.
            step = 8 * self._policy.segment_rows
            for start in range(0, len(keys), step):
                self._keep(keys[start : start + step], rows[picks[start : start + step]])

    def missing(self, phrases: Sequence[str]) -> list[str]:
        """The phrases without a row, each once, in order of first appearance."""
        with self._lock:
            self._refresh()
            return list(self._without_rows(map(phrase_key, phrases), phrases).values())

    def _without_rows(self, keys: Iterable[bytes], texts: Iterable[str]) -> dict[bytes, str]:
        """The phrases without a row by key, in order of first appearance."""
        return {key: text for key, text in zip(keys, texts, strict=True) if key not in self._row_numbers}

    def _renewal(self, phrase_list: PhraseList, encode: Encode) -> Callable[[], Rows]:
        """What makes the rows of a list after all on disk was proved; damaged ones are encoded again.

        It opens the store anew, so that a table does not keep this one from being closed.
        """
        root, identity, policy, warnings = self._root, self.identity, self._policy, self._warnings

        def renewed() -> Rows:
            store = EmbeddingStore(root, find_folder(root, identity, warnings), identity, policy, warnings)
            store.prove()
            return store.embed_list(phrase_list, encode).rows

        return renewed

    def _saved(self, phrase_list: PhraseList, renew: Callable[[], Rows]) -> ListRows | None:
        """The rows of a list by its saved index, without reading keys; None if the index cannot be used."""
        if self._folder is None or len(phrase_list.phrases) < SMALLEST_INDEXED_LIST:
            return None
        try:
            index = read_index(self._folder / INDEXES, phrase_list)
        except DamagedFile as error:  # not moved aside: the new index will replace it
            self._warnings.once(error.path, f"{error}; recomputing it")
            return None
        except OSError as error:
            self._warnings.unreadable(self._folder / INDEXES, error)
            return None
        segments = [self._open(self._folder / SEGMENTS / name) for name in index.names] if index else [None]
        present = [segment for segment in segments if segment is not None]
        if index is None or tuple(segment.keys_digest for segment in present) != index.keys:
            return None
        rows = laid_out(present, index.segment, index.row, self.identity.width, renew)
        return None if rows is None else ListRows(rows, index.notes)

    def _assemble(self, phrase_list: PhraseList, keys: list[bytes], renew: Callable[[], Rows]) -> ListRows:
        """The rows of a list [N] whose phrases all have a row; saves its index if all rows are on disk."""
        rows = np.fromiter((self._row_numbers[key] for key in keys), dtype=np.int64, count=len(keys))  # [N]
        starts = np.array(self._starts, dtype=np.int64)  # [S]
        home = np.searchsorted(starts, rows, side="right") - 1  # [N]: number of the segment
        used, segment = np.unique(home, return_inverse=True)
        parts = [self._segments[number] for number in used]
        local = (rows - starts[home] if len(rows) else rows).astype(np.int32)
        names, digests = tuple(part.name for part in parts), tuple(part.keys_digest for part in parts)
        index = RowIndex(names, digests, segment.astype(np.int32).reshape(-1), local, phrase_list.notes)
        table = laid_out(parts, index.segment, index.row, self.identity.width, renew)
        if table is None:
            raise AssertionError("a row number lies outside its segment")
        if self._folder and self._writable and all(index.names) and len(keys) >= SMALLEST_INDEXED_LIST:
            try:
                write_index(self._folder / INDEXES, phrase_list.digest, index)
            except OSError as error:
                self._warnings.once(self._folder / INDEXES, f"no index was saved in {self._folder} ({error})")
        return ListRows(table, phrase_list.notes)

    def _encode(self, missing: dict[bytes, str], encode: Encode, progress: Progress | None) -> None:
        """Encode distinct phrases batch by batch and store the rows, even if an exception interrupts it.

        Phrases are sorted, because an encoder shares the work of texts with a common beginning in one batch.
        """
        keys = sorted(missing, key=lambda key: missing[key].casefold())
        texts = [missing[key] for key in keys]
        pending: list[Tensor] = []  # [n_i, D] float16 each, the rows of keys[stored:done]
        stored = 0
        began = time.monotonic()
        try:
            for done, rows in self._batches(texts, encode, progress):
                pending.append(rows)
                seconds = time.monotonic() - began
                if done - stored >= self._policy.segment_rows or seconds >= self._policy.segment_seconds:
                    part, pending = torch.cat(pending), []
                    self._keep(keys[stored:done], part)
                    stored, began = done, time.monotonic()
        finally:
            if pending:
                part = torch.cat(pending)
                self._keep(keys[stored : stored + len(part)], part)
        if progress and texts:
            progress(len(texts), len(texts))

    def _batches(self, texts: list[str], encode: Encode, progress: Progress | None) -> Iterator[tuple[int, Tensor]]:
        """For each batch the number of phrases done so far, and its rows [n, D] float16."""
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
        """Rows [n, D] as float16 on the CPU. Raises ModelError if they are not valid text embeddings."""
        if rows.ndim != 2 or list(rows.shape) != [count, self.identity.width]:
            shape = [count, self.identity.width]
            raise ModelError(f"{self.identity.name}: text embeddings have shape {list(rows.shape)}, expected {shape}")
        rows = rows.detach().to("cpu")
        if not are_unit_rows(rows):
            raise ModelError(
                f"{self.identity.name}: text embeddings are not finite vectors of unit length; "
                "use dtype fp32, or fetch its weights again"
            )
        return rows.to(torch.float16, copy=True).contiguous()  # a copy: the encoder may reuse its buffer

    def _keep(self, keys: list[bytes], rows: Tensor) -> None:
        """Store rows [n, D] float16, on disk if possible, else in memory."""
        segment: Segment | None = None
        if self._writable:
            try:
                if self._folder is None:
                    self._folder = make_folder(self._root, self.identity, self._warnings)
                    self._readers = ReadersLock(self._folder)
                segment = write_segment(self._folder / SEGMENTS, keys, rows)
                self._open_segments[segment.name] = segment
            except (OSError, DamagedFile) as error:
                self._stop_writing(error)
        self._register(segment or memory_segment(keys, rows), keys)

    def _register(self, segment: Segment, keys: list[bytes]) -> None:
        self._segments.append(segment)
        self._starts.append(self._row_count)
        for number, key in enumerate(keys, start=self._row_count):
            self._row_numbers.setdefault(key, number)
        self._row_count += len(keys)

    def _refresh(self) -> None:
        """Read the keys of new segments, including those of other processes."""
        paths = self._paths()
        known = {segment.name for segment in self._segments}
        for path in paths:
            segment = None if path.name in known else self._open(path)
            if segment is not None:
                try:
                    self._register(segment, segment.phrase_keys())
                except DamagedFile as error:
                    self._set_aside(error)

    def _paths(self) -> list[Path]:
        """The segments on disk."""
        if self._folder is None:
            return []
        try:
            return segment_paths(self._folder / SEGMENTS)
        except OSError as error:
            self._warnings.unreadable(self._folder / SEGMENTS, error)
            return []

    def _set_aside(self, error: DamagedFile) -> None:
        """Warn about an open segment, and use it no more."""
        self._open_segments.pop(error.path.name, None)
        self._unusable.add(error.path.name)
        self._warnings.damaged(error)

    def _open(self, path: Path) -> Segment | None:
        """The segment at `path`, mapped once; None, after a warning, if it cannot be used."""
        if path.name in self._unusable:
            return None
        if path.name not in self._open_segments:
            try:
                self._open_segments[path.name] = open_segment(path, self.identity.width)
            except DamagedFile as error:
                self._warnings.damaged(error)
            except OSError as error:
                self._warnings.unreadable(path, error)
        return self._open_segments.get(path.name)

    def _stop_writing(self, error: Exception) -> None:
        self._writable = False
        where = self._folder or self._root
        self._warnings.once(where, f"{where} cannot be written ({error}); new rows stay in memory")
