"""Attributes of objects that several threads share: a lock, and a value built on first use."""

from __future__ import annotations

import threading
from collections.abc import Callable
from typing import Generic, TypeVar

T = TypeVar("T")

_POLL_SECONDS = 0.1


class Lock:
    """A reentrant lock. When its owner is copied or pickled, the copy gets a new lock."""

    def __init__(self) -> None:
        self._lock = threading.RLock()

    def __enter__(self) -> None:
        self._lock.acquire()

    def __exit__(self, *_: object) -> None:
        self._lock.release()

    def __reduce__(self) -> tuple[type[Lock], tuple[()]]:
        return Lock, ()


class Lazy(Generic[T]):
    """A value built once, by the first thread that needs it, while the others wait.

    An exception from building reaches only that thread; the next one tries again. A copy starts without a value.
    """

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._built: tuple[T] | None = None

    def get(self, build: Callable[[], T], waiting: Callable[[], object] | None = None) -> T:
        """The value.

        Args:
            build: makes the value; must not call `get` itself.
            waiting: called several times a second while another thread builds; may raise to stop waiting.
        """
        if self._built is None:
            while not self._lock.acquire(timeout=_POLL_SECONDS if waiting else -1):
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
