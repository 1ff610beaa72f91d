"""What an object holds that several threads may use: a lock, and a value that is built at first use."""

from __future__ import annotations

import threading
from collections.abc import Callable
from typing import Generic, TypeVar

T = TypeVar("T")

_TELL_SECONDS = 0.1


class Lock:
    """A lock that its thread may take again. Copies and pickles of what holds it have one of their own."""

    def __init__(self) -> None:
        self._lock = threading.RLock()

    def __enter__(self) -> None:
        self._lock.acquire()

    def __exit__(self, *_: object) -> None:
        self._lock.release()

    def __reduce__(self) -> tuple[type[Lock], tuple[()]]:
        return Lock, ()


class Lazy(Generic[T]):
    """A value that is built once, by the thread that needs it first; the others wait until it is whole.

    What building raises comes out in that thread alone: the next one builds. A copy starts without a value.
    """

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._built: tuple[T] | None = None

    def get(self, build: Callable[[], T], waiting: Callable[[], object] | None = None) -> T:
        """The value.

        Args:
            build: makes it; must not ask for it.
            waiting: called several times a second while another thread builds; may raise to give up waiting.
        """
        if self._built is None:
            while not self._lock.acquire(timeout=_TELL_SECONDS if waiting else -1):
                if waiting:
                    waiting()
            try:
                if self._built is None:
                    self._built = (build(),)
            finally:
                self._lock.release()
        return self._built[0]

    def __reduce__(self) -> tuple[type[Lazy[T]], tuple[()]]:
        return Lazy, ()
