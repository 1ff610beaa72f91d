"""Which models of a run are on the accelerator: two at most; the others wait in main memory until they are wanted."""

from __future__ import annotations

from collections.abc import Callable
from typing import Protocol, TypeVar

import torch
from torch import nn

from ...devices import release_memory

AT_ONCE = 2
"""Models on an accelerator at a time."""


class _Model(Protocol):
    @property
    def module(self) -> nn.Module: ...


Model = TypeVar("Model", bound=_Model)


class Residents:
    """Models that share a device; the one that was used longest ago makes room.

    Where there are two or fewer none is ever moved, so a host may move them itself. On a CPU none is either: there
    main memory is where all of them are.
    """

    def __init__(self, at_once: int = AT_ONCE) -> None:
        self._at_once = at_once
        self._here: list[tuple[nn.Module, torch.device]] = []  # with the device each came with; the last used last
        self._waiting: list[tuple[nn.Module, torch.device]] = []

    def load(self, load: Callable[[], Model]) -> Model:
        """A model that `load` puts on its device, after one that is there makes room. Raises what `load` does."""
        self._make_room()
        model = load()
        self._here.append((model.module, next(model.module.parameters()).device))
        return model

    def use(self, model: Model) -> Model:
        """The model, on its device from now on. One that was not loaded here is left alone."""
        for some in (self._here, self._waiting):
            found = next((each for each in some if each[0] is model.module), None)
            if found is None:
                continue
            some.remove(found)
            if some is self._waiting:
                self._make_room()
                model.module.to(found[1])
            self._here.append(found)
        return model

    def device_of(self, model: _Model) -> torch.device:
        """The device that a model runs on, wherever it waits now."""
        known = [each[1] for each in (*self._here, *self._waiting) if each[0] is model.module]
        return known[0] if known else next(model.module.parameters()).device

    def _make_room(self) -> None:
        """Let those wait that were used longest ago, until one more may come."""
        there = [each for each in self._here if each[1].type != "cpu"]
        for each in there[: max(0, len(there) - self._at_once + 1)]:
            each[0].to("cpu")
            release_memory(each[1])
            self._here.remove(each)
            self._waiting.append(each)
