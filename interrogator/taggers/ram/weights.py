"""The tensors of a weights file, one at a time: safetensors, or a checkpoint of torch that holds plain tensors."""

from __future__ import annotations

import pickle
from collections.abc import Mapping
from pathlib import Path
from typing import Any, Protocol

import torch
from torch import Tensor

from ...checkpoints import stored_tensor
from ...errors import ModelLoadError

_UNREADABLE = (RuntimeError, OSError, ValueError, TypeError, LookupError, EOFError, AttributeError)
# What torch raises for files that are truncated or of another format, besides UnpicklingError.


class Weights(Protocol):
    """What a weights file holds."""

    names: frozenset[str]

    def shape(self, name: str) -> tuple[int, ...]:
        """The shape of a tensor."""
        ...

    def tensor(self, name: str) -> Tensor:
        """A tensor, on the CPU."""
        ...


def open_weights(path: Path) -> Weights:
    """The tensors of a file; large ones are not read before they are asked for.

    Raises ModelLoadError: it is damaged, or holds more than plain tensors, which is never unpickled.
    """
    return _Safetensors(path) if path.suffix == ".safetensors" else _Pickled(path)


class Renamed:
    """The tensors of a file under the names of today."""

    def __init__(self, weights: Weights, old: str, new: str) -> None:
        """Replace `old` in every name by `new`."""
        self._weights = weights
        self._stored = {name.replace(old, new): name for name in weights.names}
        self.names = frozenset(self._stored)

    def shape(self, name: str) -> tuple[int, ...]:
        return self._weights.shape(self._stored[name])

    def tensor(self, name: str) -> Tensor:
        return self._weights.tensor(self._stored[name])


class _Safetensors:
    def __init__(self, path: Path) -> None:
        from safetensors import SafetensorError, safe_open

        try:
            file: Any = safe_open(path, framework="pt")
        except (SafetensorError, OSError) as error:
            raise ModelLoadError(f"{path} is damaged ({error}): download it again") from error
        self._path = path
        self._shapes = {name: tuple(file.get_slice(name).get_shape()) for name in file.keys()}  # noqa: SIM118
        self.names = frozenset(self._shapes)

    def shape(self, name: str) -> tuple[int, ...]:
        return self._shapes[name]

    def tensor(self, name: str) -> Tensor:
        return stored_tensor(self._path, name)


class _Pickled:
    def __init__(self, path: Path) -> None:
        content = _unpickled(path)
        state = content.get("model", content) if isinstance(content, Mapping) else None
        if not isinstance(state, Mapping):
            raise ModelLoadError(f"{path} is not a checkpoint: it holds a {type(content).__name__}, no named tensors")
        self._tensors = {str(name): value for name, value in state.items() if isinstance(value, Tensor)}
        self.names = frozenset(self._tensors)

    def shape(self, name: str) -> tuple[int, ...]:
        return tuple(self._tensors[name].shape)

    def tensor(self, name: str) -> Tensor:
        return self._tensors[name]


def _unpickled(path: Path) -> Any:
    try:
        try:
            return torch.load(path, map_location="cpu", weights_only=True, mmap=True)
        except (RuntimeError, ValueError):  # the format before PyTorch 1.6 cannot be mapped
            return torch.load(path, map_location="cpu", weights_only=True)
    except (pickle.UnpicklingError, *_UNREADABLE) as error:
        reason = " ".join(str(error).split())[:200] or type(error).__name__
        raise ModelLoadError(f"{path} is damaged, or holds more than tensors ({reason}): download it again") from error
