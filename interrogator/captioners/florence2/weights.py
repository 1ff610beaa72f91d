"""The tensors of a folder with a model, one at a time: from one file or several, safetensors or pickled tensors."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

from torch import Tensor

from ...checkpoints import read_json, stored_tensor
from ...errors import ModelLoadError
from ...pickled_weights import read_weights

# The first that is there is read.
_FILES = ("model.safetensors", "model.safetensors.index.json", "pytorch_model.bin", "pytorch_model.bin.index.json")


def tensors(folder: Path) -> Iterator[tuple[str, Tensor]]:
    """Names and tensors, on the CPU, as they stand in the files, which are mapped into memory and not copied.

    Copy a tensor before asking for the next one, so that no two are in memory.

    Raises ModelLoadError: there are none, or a file that the index names is missing; and what the readers raise.
    """
    path = next((folder / name for name in _FILES if (folder / name).is_file()), None)
    if path is None:
        raise ModelLoadError(f"{folder} holds no weights: fetch {_FILES[0]}")
    paths = [path]
    if path.suffix == ".json":
        paths = sorted({folder / str(name) for name in read_json(path).get("weight_map", {}).values()})
        lacking = [each.name for each in paths if not each.is_file()]
        if lacking:
            raise ModelLoadError(f"{folder} lacks a part of its weights: fetch {', '.join(lacking)}")
    for each in paths:
        yield from _safetensors(each) if each.suffix == ".safetensors" else _pickled(each)


def _safetensors(path: Path) -> Iterator[tuple[str, Tensor]]:
    from safetensors import safe_open

    with safe_open(path, framework="pt") as file:
        names = list(file.keys())
    for name in names:
        yield name, stored_tensor(path, name)


def _pickled(path: Path) -> Iterator[tuple[str, Tensor]]:
    state = read_weights(path)
    yield from state.items()
