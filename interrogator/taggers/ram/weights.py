"""The tensors of a weights file, one at a time: safetensors, or a checkpoint of torch that holds plain tensors."""

from __future__ import annotations

from pathlib import Path
from typing import Any, Protocol

from torch import Tensor

from ...checkpoints import stored_tensor
from ...errors import ModelLoadError
from ...pickled_weights import read_weights


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
        self._tensors = read_weights(path)
        self.names = frozenset(self._tensors)

    def shape(self, name: str) -> tuple[int, ...]:
        return tuple(self._tensors[name].shape)

    def tensor(self, name: str) -> Tensor:
        return self._tensors[name]
