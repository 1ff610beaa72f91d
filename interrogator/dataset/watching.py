"""Telling how far a run is."""

from __future__ import annotations

from collections.abc import Callable

Watch = Callable[[int, int, int], None]
"""`watch(done, total, failed)` in pictures; called several times a second, may raise to stop the run."""


class Watched:
    """Counts the pictures of this process, and tells the watcher, also from inside the models."""

    def __init__(self, watch: Watch | None, total: int) -> None:
        self._watch = watch
        self._total = total
        self._done = self._failed = 0

    def add(self, pictures: int, failed: int) -> None:
        """So many more pictures are through, and so many of them failed."""
        self._done += pictures
        self._failed += failed
        self.again()

    def again(self, *_: int) -> None:
        """Tell the same numbers again, so that the watcher may stop the work; takes the place of a progress."""
        if self._watch:
            self._watch(self._done, self._total, self._failed)
