"""Progress of long work, reported often enough that raising from the callable cancels it within a second."""

from __future__ import annotations

import time
from collections.abc import Callable
from typing import TYPE_CHECKING, Any, TypeVar

from .module_views import view_of

if TYPE_CHECKING:
    from torch import nn

M = TypeVar("M", bound="nn.Module")

Progress = Callable[[int, int], None]
"""`progress(done, total)`; may raise to cancel."""

_REPEAT_SECONDS = 0.1  # minimum time between repeats in the middle of a step


class StickyProgress:
    """A progress that remembers its last report, so that work inside a step can repeat it."""

    def __init__(self, progress: Progress) -> None:
        self.progress = progress
        self.last = (0, 0)

    def __call__(self, done: int, total: int) -> None:
        self.last = (done, total)
        self.progress(done, total)

    def again(self, *_: Any) -> None:
        """Repeat the last report; stands in for a progress callable inside the current step."""
        self.progress(*self.last)


def share_of(progress: Progress | None, start: int, total: int) -> Progress | None:
    """A progress for the items from `start` on that reports within the `total`."""
    return None if progress is None else lambda done, _: progress(start + done, total)


def watched(module: M, progress: Progress | None) -> tuple[M, Progress]:
    """A view of a model that repeats the last progress report before each layer, and the callable to report through.

    One batch through a large tower takes many seconds on a CPU. The hooks are on the view, so that threads computing
    with the same model each report to, and are cancelled by, their own progress. If `progress` is None, the model
    itself is returned.
    """
    if progress is None:
        return module, _ignore
    sticky = StickyProgress(progress)
    last = time.monotonic()

    def before_layer(*_: Any) -> None:
        nonlocal last
        if time.monotonic() - last >= _REPEAT_SECONDS:
            last = time.monotonic()
            sticky.again()

    view = view_of(module)
    for layer in view.modules():
        if next(layer.children(), None) is None:
            layer.register_forward_pre_hook(before_layer)
    return view, sticky


def _ignore(done: int, total: int) -> None:
    """A progress that reports to no one."""
