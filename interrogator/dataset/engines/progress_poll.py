"""Progress of work that is silent for long."""

from __future__ import annotations

import queue
import threading
from collections.abc import Callable, Iterable

_POLL_SECONDS = 0.2
_STOP_SECONDS = 60.0  # that workers have to stop by themselves

Row = tuple[int, int]
"""Pictures done, and those of them that failed."""


class ProgressPoll:
    """A thread that waits for rows, so that this one can report several times a second.

    The end of the block waits for the row in the making.
    """

    def __init__(self) -> None:
        self._found: queue.SimpleQueue[Row | BaseException | None] = queue.SimpleQueue()
        self._is_over = threading.Event()
        self._thread: threading.Thread | None = None

    def __enter__(self) -> ProgressPoll:
        return self

    def __exit__(self, *_: object) -> None:
        self._is_over.set()
        if self._thread is not None:
            self._thread.join(_STOP_SECONDS)

    def report(self, rows: Callable[[], Iterable[Row]], add: Callable[[int, int], None]) -> None:
        """Call `add` with every row, and with (0, 0) in between. Raises what `rows` and `add` raise."""
        self._thread = threading.Thread(target=self._collect, args=(rows,), name="rows", daemon=True)
        self._thread.start()
        while (row := self._next()) is not None:
            if isinstance(row, BaseException):
                raise row
            add(*row)

    def _collect(self, rows: Callable[[], Iterable[Row]]) -> None:
        """Queue every row, then None or the error that ended them."""
        try:
            for row in rows():
                self._found.put(row)
                if self._is_over.is_set():
                    return
            self._found.put(None)
        except BaseException as error:  # noqa: BLE001  raised again by the thread that waits
            self._found.put(error)

    def _next(self) -> Row | BaseException | None:
        try:
            return self._found.get(timeout=_POLL_SECONDS)
        except queue.Empty:
            return 0, 0
