"""Openings that one call of `read` leaves for the next: where a packed tar or a row group was read up to."""

from __future__ import annotations

from collections.abc import Callable
from threading import Lock
from typing import Generic, Protocol, TypeVar


class Closable(Protocol):
    def close(self) -> None: ...


T = TypeVar("T", bound=Closable)


class Kept(Generic[T]):
    """At most as many as threads read at once; each is handed to one call at a time.

    A pickled copy keeps none.
    """

    def __init__(self, most: int = 16) -> None:
        self._most = most
        self._lock = Lock()
        self._kept: list[T] = []

    def take(self, fits: Callable[[T], int | None]) -> T | None:
        """The one for which `fits` gives the largest number; None if it gives None for all."""
        with self._lock:
            usable = [(number, each) for each in self._kept if (number := fits(each)) is not None]
            if not usable:
                return None
            best = max(usable, key=lambda pair: pair[0])[1]
            self._kept.remove(best)
            return best

    def give(self, opening: T) -> None:
        """Leaves an opening for the next call; closes the one that was left longest ago if there are too many."""
        with self._lock:
            self._kept.append(opening)
            old = self._kept.pop(0) if len(self._kept) > self._most else None
        if old is not None:
            old.close()

    def __reduce__(self) -> tuple[type[Kept[T]], tuple[int]]:
        return Kept, (self._most,)
