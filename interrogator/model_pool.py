"""ModelPool: what is loaded stays loaded, and models take turns where a device cannot hold all."""

from __future__ import annotations

import threading
from collections import OrderedDict
from collections.abc import Callable
from os import PathLike
from typing import TYPE_CHECKING, Any, Unpack

from .catalog import Role
from .models import Located, Model
from .registry import LoadOptions, load, load_model, locate

if TYPE_CHECKING:
    import torch


class ModelPool:
    """Keeps what is loaded, so that nobody loads a model twice, and moves models where a device cannot hold all.

    Where `on_device` or fewer are loaded none is ever moved. On a CPU none is either: there main memory is where all of
    them are. A host that moves models itself wraps them, and gives `on_device` None.
    """

    def __init__(
        self, *, keep: int | None = None, on_device: int | None = 2, wrap: Callable[[Model], Any] | None = None,
        load_to: Callable[[Located], str | torch.device] | None = None,
    ) -> None:  # fmt: skip
        """An empty pool.

        Args:
            keep: models of each role that stay loaded, those used last; None keeps all.
            on_device: models on an accelerator at a time; the others wait in main memory until they are wanted. None
                never moves a model.
            wrap: what a host lays around a model, such as its own memory management.
            load_to: where a host wants a model loaded that was located; None is what `load` is asked for.
        """
        self._keep = keep
        self._on_device = on_device
        self._wrap = wrap or (lambda model: model)
        self._load_to = load_to
        self._models: OrderedDict[tuple[Any, ...], Any] = OrderedDict()
        self._here: list[tuple[Any, torch.device]] = []  # modules with the device each came with; the last used last
        self._waiting: list[tuple[Any, torch.device]] = []
        self._lock = threading.RLock()

    def load(
        self, role: Role, name: str | PathLike[str], *, located: Located | None = None, **options: Unpack[LoadOptions]
    ) -> Any:
        """A model that was loaded with these options before, or is now.

        Args:
            located: where it is, if that was found already.
            options: as of `load_model`. Raises what that does.
        """
        key = (role, str(name), *(str(options.get(each)) for each in ("device", "dtype", "checkpoint", "revision")))
        with self._lock:
            if key not in self._models:
                self._make_room()
                self._models[key] = self._wrap(self._loaded(role, name, located, options))
                self._settle(self._models[key])
            self._models.move_to_end(key)
            self._forget(role)
            return self._models[key]

    def _loaded(
        self, role: Role, name: str | PathLike[str], located: Located | None, options: LoadOptions
    ) -> Model:  # fmt: skip
        if located is None and self._load_to is None:
            return load_model(role, name, **options)
        where: dict[str, Any] = {key: value for key, value in options.items() if key not in ("device", "dtype")}
        found = located or locate(role, name, **where)
        device = options.get("device", "auto") if self._load_to is None else self._load_to(found)
        return load(found, device=device, dtype=options.get("dtype", "auto"))

    def use(self, model: Any) -> Any:
        """The model, on its own device from now on. One that the pool does not know is left alone."""
        with self._lock:
            for modules in (self._here, self._waiting):
                found = next((each for each in modules if each[0] is model.module), None)
                if found is None:
                    continue
                modules.remove(found)
                if modules is self._waiting:
                    self._make_room()
                    model.module.to(found[1])
                self._here.append(found)
        return model

    def device_of(self, model: Any) -> torch.device:
        """The device that a model runs on, wherever it waits now."""
        known = [device for module, device in (*self._here, *self._waiting) if module is model.module]
        device: torch.device = known[0] if known else model.device
        return device

    def _settle(self, model: Any) -> None:
        """Take care of a model that has just come."""
        if model.module is not None and self._on_device is not None:
            self._here.append((model.module, model.device))

    def _make_room(self) -> None:
        """Let those wait that were used longest ago, until one more may come."""
        from .devices import release_memory

        if self._on_device is None:
            return
        there = [each for each in self._here if each[1].type != "cpu"]
        for each in there[: max(0, len(there) - self._on_device + 1)]:
            each[0].to("cpu")
            release_memory(each[1])
            self._here.remove(each)
            self._waiting.append(each)

    def _forget(self, role: Role) -> None:
        """Let go of the models of a role that were used longest ago."""
        if self._keep is None:
            return
        own = [key for key in self._models if key[0] == role]
        for key in own[: max(0, len(own) - self._keep)]:
            module = self._models.pop(key).module
            self._here = [each for each in self._here if each[0] is not module]
            self._waiting = [each for each in self._waiting if each[0] is not module]
