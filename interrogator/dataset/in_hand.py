"""Shards that a writer has in hand at a time: one, unless it only waits for a server, which would idle between two."""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor, wait
from threading import Event
from types import TracebackType
from typing import Generic, TypeVar

from ..progress import Progress
from .progress import Watched

_POLL_SECONDS = 0.1
_MOST = 64  # shards at a time

Shard = TypeVar("Shard")
Answer = TypeVar("Answer")


class _Stopped(Exception):
    """The run is over: nobody wants this answer."""


class InHand(Generic[Shard, Answer]):
    """Shards and the answers to them, in the order in which they were given.

    While a server answers the last pictures of a shard it gets the first ones of the next, so that it always has as
    many as it was promised. The answers of all but a writer in this thread are made in threads.
    """

    def __init__(self, pictures: int, watched: Watched) -> None:
        """pictures: that are to be in hand behind the oldest shard; 0 answers each shard at once, in this thread."""
        self._pictures = pictures
        self._watched = watched
        self._hand: deque[tuple[Shard, int, Future[Answer]]] = deque()
        self._oldest_done = 0
        self._over = Event()
        self._pool = ThreadPoolExecutor(_MOST, thread_name_prefix="shard")

    def __enter__(self) -> InHand[Shard, Answer]:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        self._over.set()  # which the writer learns from its progress
        self._pool.shutdown(cancel_futures=True)

    def give(self, shard: Shard, pictures: int, answer: Callable[[Progress], Answer]) -> Iterator[tuple[Shard, Answer]]:
        """Begin to answer a shard, and yield the oldest ones while there is enough in hand without them.

        answer: called with a progress that raises once the run is over. Raises what it raises, and the watcher.
        """
        if not self._pictures:
            yield shard, answer(self._watched.within)
            return
        future: Future[Answer] = self._pool.submit(answer, self._progress(shard))
        self._hand.append((shard, pictures, future))
        while self._behind_oldest() >= self._pictures or len(self._hand) >= _MOST:
            yield self._oldest()

    def rest(self) -> Iterator[tuple[Shard, Answer]]:
        """Those that are still in hand."""
        while self._hand:
            yield self._oldest()

    def _behind_oldest(self) -> int:
        return sum(pictures for _, pictures, _ in self._hand) - (self._hand[0][1] if self._hand else 0)

    def _oldest(self) -> tuple[Shard, Answer]:
        shard, pictures, future = self._hand[0]
        self._oldest_done = 0
        while not wait([future], _POLL_SECONDS).done:
            self._watched.within(self._oldest_done, pictures)
        self._hand.popleft()
        return shard, future.result()

    def _progress(self, shard: Shard) -> Progress:
        def report(done: int, total: int) -> None:
            if self._over.is_set():
                raise _Stopped
            if self._hand[0][0] is shard:  # those behind it count when it is their turn
                self._oldest_done = done

        return report
