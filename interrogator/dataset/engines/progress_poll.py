"""Telling how far work is that is silent in between."""

from __future__ import annotations

import queue
import threading
from collections.abc import Callable, Iterable

_LOOK = 0.2  # seconds between two words
_PATIENCE = 60.0  # seconds that workers have to stop by themselves


class Following:
    """A thread that waits for rows, so that this one can tell several times a second.

    At the end of the block it is waited for what the workers have in hand.
    """

    def __init__(self) -> None:
        self._found: queue.SimpleQueue[tuple[int, int] | BaseException | None] = queue.SimpleQueue()
        self._is_over = threading.Event()
        self._thread: threading.Thread | None = None

    def __enter__(self) -> Following:
        return self

    def __exit__(self, *_: object) -> None:
        self._is_over.set()
        if self._thread is not None:
            self._thread.join(_PATIENCE)

    def tell(self, rows: Callable[[], Iterable[tuple[int, int]]], tell: Callable[[int, int], None]) -> None:
        """Tell every row, and (0, 0) in between. Raises what `rows` and `tell` raise."""
        self._thread = threading.Thread(target=self._pass_on, args=(rows,), name="rows", daemon=True)
        self._thread.start()
        while (row := self._next()) is not None:
            if isinstance(row, BaseException):
                raise row
            tell(*row)

    def _pass_on(self, rows: Callable[[], Iterable[tuple[int, int]]]) -> None:
        """Keep every row, then None or the error that ended them."""
        try:
            for row in rows():
                self._found.put(row)
                if self._is_over.is_set():
                    return
            self._found.put(None)
        except BaseException as error:  # noqa: BLE001  raised in the other thread
            self._found.put(error)

    def _next(self) -> tuple[int, int] | BaseException | None:
        try:
            return self._found.get(timeout=_LOOK)
        except queue.Empty:
            return 0, 0
