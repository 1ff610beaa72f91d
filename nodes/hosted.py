"""Models in the care of ComfyUI: brought in before every use, let go after a run where that is asked for."""

from __future__ import annotations

import gc
import threading
import weakref
from collections.abc import Callable
from typing import TYPE_CHECKING, Any

from . import host

if TYPE_CHECKING:
    import torch

    from ..interrogator.models import Located, Model

# What the protocols of the roles have beside the members of every model; `Hosted` has each that its model has.
_COMPUTING = (
    "caption", "sample", "answer", "tag", "match", "embed", "encode_texts", "encode_continuations", "identity",
)  # fmt: skip
_PASSED = ("abilities", "prompts", "check", "context_length", "count", "fits", "token_ids", "remember_tokens")


class Weights:
    """One model, which may be let go and is loaded again when somebody wants it.

    Attributes:
        asked_as: the name by which nodes ask for it.
        name, family, origin, dtype: of the model, also while it is freed.
    """

    def __init__(self, model: Model, reload: Callable[[Model], Callable[[], Model]] | None) -> None:
        """reload: from a model to what loads it again; None where nothing can."""
        self.asked_as = model.name
        self.origin: Located = model.origin
        self.name, self.family, self.dtype = model.name, model.family, model.dtype
        self._device = model.device
        self._reload = None if reload is None else reload(model)
        self._lock = threading.RLock()
        self._model: Model | None = None
        self._memory: host.Memory | None = None
        self._is_left_alone = model.module is None
        self._used: dict[bool, str | None] = {}  # whether a use frees it after the run -> the last run of such a use
        self._take(model)
        _KNOWN.add(self)

    @property
    def model(self) -> Model:
        """The model, loaded again if it was freed."""
        with self._lock:
            if self._model is None:
                assert self._reload is not None, "a model is freed only if it can be loaded again"
                self._take(self._reload())
            assert self._model is not None
            return self._model

    @property
    def module(self) -> torch.nn.Module | None:
        """The module, if it is loaded and has one."""
        return None if self._model is None else self._model.module

    @property
    def device(self) -> torch.device:
        """Where it computes, wherever it waits now."""
        return self._device if self._is_left_alone else host.load_device()

    def bring(self, frees: bool) -> None:
        """Have the model where it computes, with room for its work. frees: let go of it after this run."""
        with self._lock:
            model = self.model
            was_here = self.is_ready
            if self._memory is not None:
                self._memory.bring(model.working_bytes)
            self.used(frees)
        if not was_here:
            tell()

    def used(self, frees: bool) -> None:
        """Note a use; one that frees lets go of the model when the run is over, unless another use of it keeps it."""
        if frees and self._reload is not None:
            host.when_idle(self._free)
        self._used[frees] = host.current_run()

    @property
    def is_ready(self) -> bool:
        """Whether it is where it computes."""
        return self._model is not None and (self._memory is None or self._memory.is_here)

    def as_dict(self) -> dict[str, Any]:
        """What the front end shows of it."""
        with self._lock:
            state = "freed" if self._model is None else "ready" if self.is_ready else "waiting"
            return {
                "role": self.origin.role, "name": self.asked_as, "family": self.family,
                "precision": _PRECISIONS.get(str(self.dtype).removeprefix("torch."), ""), "bytes": _bytes(self.module),
                "device": str(self.device) if state == "ready" else "", "state": state,
            }  # fmt: skip

    @property
    def is_here(self) -> bool:
        """Whether it takes memory of this machine: a model behind an endpoint does not."""
        return not self._is_left_alone or self.origin.folder is not None

    def _take(self, model: Model) -> None:
        self._model = model
        self._memory = None if model.module is None else host.Memory(model.module, on_leave=tell)

    def _free(self) -> None:
        """Let go of the model, unless the last run also used it through a loader that keeps it."""
        with self._lock:
            run = self._used.get(True)
            if self._model is None or run is not None and self._used.get(False) == run:
                return
            self._model = self._memory = None
        gc.collect()  # modules refer to each other in circles
        host.empty_device_cache()
        tell()


_KNOWN: weakref.WeakSet[Weights] = weakref.WeakSet()
CHANGED, ADDRESS = "interrogator.loaded", "/interrogator/loaded"
"""The event with `listed` that the front end hears, and where it may ask; web/js/loaded_models.js has them too."""
_PRECISIONS = {"float32": "fp32", "bfloat16": "bf16", "float16": "fp16"}


def listed() -> list[dict[str, Any]]:
    """The models that this process has loaded and still knows, in the order of their names."""
    found = [each.as_dict() for each in list(_KNOWN) if each.is_here]
    return sorted(found, key=lambda each: (each["role"], each["name"], each["precision"]))


def tell() -> None:
    """Tell the front end that models came or went."""
    host.tell(CHANGED, {"models": listed()})


host.serve("GET", ADDRESS, lambda _: {"models": listed()})


class Hosted:
    """A model of any role whose weights ComfyUI moves; made by `hosted`.

    Before each call that computes it asks ComfyUI for the device's memory: for the weights, and for what the model
    works in beside them. A model without weights of its own, such as one behind an endpoint, is left alone.
    """

    def __init__(self, weights: Weights, frees: bool = False) -> None:
        """frees: let go of the model after each run that uses it."""
        self.weights = weights
        self._frees = frees

    def freed_after_run(self) -> Hosted:
        """The same model, which is let go when the run is over and loaded again when it is wanted."""
        self.weights.used(frees=True)
        return type(self)(self.weights, frees=True)

    @property
    def model(self) -> Model:
        """The model itself."""
        return self.weights.model

    @property
    def name(self) -> str:
        return self.weights.name

    @property
    def family(self) -> str:
        return self.weights.family

    @property
    def origin(self) -> Located:
        return self.weights.origin

    @property
    def module(self) -> torch.nn.Module | None:
        return self.weights.module

    @property
    def device(self) -> torch.device:
        """Where it computes, wherever it waits now."""
        return self.weights.device

    @property
    def dtype(self) -> torch.dtype:
        return self.weights.dtype

    @property
    def working_bytes(self) -> int:
        return self.model.working_bytes

    def prepare(self, image: Any) -> Any:
        return self.model.prepare(image)

    def bring(self) -> None:
        """Have the model where it computes, with room for its work. Others may take the room at any later time."""
        self.weights.bring(self._frees)


def hosted(model: Model, reload: Callable[[Model], Callable[[], Model]] | None = None) -> Hosted:
    """The model in the care of ComfyUI, with the members of its own role and no other's.

    The members stand in a class, because that is where `isinstance` looks for those of a protocol (Python 3.12).

    reload: from a model to what loads it again after it was freed; None is never free it.
    """
    members: dict[str, Any] = {name: _computing(name) for name in _COMPUTING if hasattr(model, name)}
    members |= {name: _passed(name) for name in _PASSED if hasattr(model, name)}
    of_role: type[Hosted] = type(f"Hosted{type(model).__name__}", (Hosted,), members)
    return of_role(Weights(model, reload))


def _computing(name: str) -> Callable[..., Any]:
    def compute(self: Hosted, *args: Any, **options: Any) -> Any:
        self.bring()
        return getattr(self.model, name)(*args, **options)

    compute.__name__ = name
    return compute


def _passed(name: str) -> property:
    return property(lambda self: getattr(self.model, name))


def _bytes(module: torch.nn.Module | None) -> int:
    return 0 if module is None else sum(each.nbytes for each in (*module.parameters(), *module.buffers()))
