"""Telling how far long work is, often enough that a raise from the callable cancels it within a second."""

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

_TELL_SECONDS = 0.1  # how seldom numbers are told again in the middle of a step


class StickyProgress:
    """A progress that remembers what it told, so that work inside a step can tell the same numbers again."""

    def __init__(self, progress: Progress) -> None:
        self.progress = progress
        self.last = (0, 0)

    def __call__(self, done: int, total: int) -> None:
        self.last = (done, total)
        self.progress(done, total)

    def again(self, *_: Any) -> None:
        """Tell the numbers of the step at hand; takes the place of a progress inside that step."""
        self.progress(*self.last)


def watched(module: M, progress: Progress | None) -> tuple[M, Progress]:
    """A view of a model that tells `progress` its last numbers again before its layers, and what to tell it through.

    One batch through a large tower takes many seconds on a CPU. The hooks are on the view: threads that compute with
    the same model are told, and cancelled, each by its own progress. Without a progress it is the model itself.
    """
    if progress is None:
        return module, _tell_nobody
    retold = StickyProgress(progress)
    last = time.monotonic()

    def before_layer(*_: Any) -> None:
        nonlocal last
        if time.monotonic() - last >= _TELL_SECONDS:
            last = time.monotonic()
            retold.again()

    view = view_of(module)
    for layer in view.modules():
        if next(layer.children(), None) is None:
            layer.register_forward_pre_hook(before_layer)
    return view, retold


def _tell_nobody(done: int, total: int) -> None:
    """The progress of work that nobody watches."""
