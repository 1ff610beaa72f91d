"""Telling how far long work is, often enough that a raise from the callable cancels it within a second."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from torch import nn

Progress = Callable[[int, int], None]
"""`progress(done, total)`; may raise to cancel."""

_TELL_SECONDS = 0.1  # how seldom numbers are told again in the middle of a step


class Retold:
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


@contextmanager
def told_between_layers(module: nn.Module, progress: Progress | None) -> Iterator[Progress]:
    """A progress that is also told, with its last numbers, before the layers of a model while the block runs.

    One batch through a large tower takes many seconds on a CPU.
    """
    if progress is None:
        yield lambda done, total: None
        return
    retold = Retold(progress)
    owner, last = threading.get_ident(), time.monotonic()

    def before_layer(*_: Any) -> None:
        nonlocal last
        # Another thread may use the same model; its layers are not ours to stop.
        if time.monotonic() - last >= _TELL_SECONDS and threading.get_ident() == owner:
            last = time.monotonic()
            retold.again()

    layers = [layer for layer in module.modules() if next(layer.children(), None) is None]
    hooks = [layer.register_forward_pre_hook(before_layer) for layer in layers]
    try:
        yield retold
    finally:
        for hook in hooks:
            hook.remove()
