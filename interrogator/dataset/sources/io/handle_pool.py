"""Open files that one call of `read` leaves for the next, each at the position that was read up to."""

from __future__ import annotations

from collections.abc import Callable
from threading import Lock
from typing import Generic, Protocol, TypeVar


class Closable(Protocol):
    def close(self) -> None: ...


T = TypeVar("T", bound=Closable)


class HandlePool(Generic[T]):
    """At most as many handles as threads read at once; each is handed to one call at a time.

    A pickled copy is empty.
    """

    def __init__(self, most: int = 16) -> None:
        self._most = most
        self._lock = Lock()
        self._handles: list[T] = []

    def take(self, fits: Callable[[T], int | None]) -> T | None:
        """The handle for which `fits` gives the largest number; None if it gives None for all."""
        with self._lock:
            usable = [(number, each) for each in self._handles if (number := fits(each)) is not None]
            if not usable:
                return None
            best = max(usable, key=lambda pair: pair[0])[1]
            self._handles.remove(best)
            return best

    def give(self, handle: T) -> None:
        """Leave a handle for the next call; closes the one that was left longest ago if there are too many."""
        with self._lock:
            self._handles.append(handle)
            old = self._handles.pop(0) if len(self._handles) > self._most else None
        if old is not None:
            old.close()

    def __reduce__(self) -> tuple[type[HandlePool[T]], tuple[int]]:
        return HandlePool, (self._most,)
