"""How far a run is."""

from __future__ import annotations

from collections.abc import Callable

from ..progress import Progress

Watch = Callable[[int, int, int], None]
"""`watch(done, total, failed)` in pictures; called several times a second, may raise to stop the run."""


class Watched:
    """Counts the pictures of this process and calls the watcher, also from inside the models."""

    def __init__(self, watch: Watch | None, total: int) -> None:
        self._watch = watch
        self._total = total
        self._done = self._failed = 0
        self._begun = 0  # pictures of the current shard that are as good as done

    def add(self, pictures: int, failed: int) -> None:
        """Count pictures that are done, and those of them that failed."""
        self._done += pictures
        self._failed += failed
        self._begun = 0
        self.again()

    def within(self, done: int, total: int) -> None:
        """Report that the models are done with so many of the pictures they have in hand; never fewer than before."""
        self._begun = max(self._begun, min(done, total))
        self.again()

    def again(self, *_: int) -> None:
        """Report the same numbers again, so that the watcher may stop the work; serves as a progress."""
        if self._watch:
            self._watch(self._done + self._begun, self._total, self._failed)


def share(progress: Progress | None, start: float, stop: float, count: int) -> Progress | None:
    """A progress for one step of work on `count` pictures, which takes it from `start` to `stop` of the whole."""
    if progress is None:
        return None
    return lambda done, total: progress(int(count * (start + (stop - start) * done / max(total, 1))), count)
