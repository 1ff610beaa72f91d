"""What tells the models of one run from those of another."""

from __future__ import annotations

import hashlib
from contextlib import suppress
from pathlib import Path
from typing import Any

from torch import nn

from ...captioners import find_blip
from ...encoders import locate
from ...errors import ModelError

_VALUES = 8


def described(model: Any) -> dict[str, str]:
    """A model's name, where it runs and in what, a fingerprint of its weights, and the hub's revision if known."""
    first = next(model.module.parameters())
    dtype = str(getattr(model, "dtype", None) or first.dtype).removeprefix("torch.")
    told = {"name": model.name, "device": str(first.device), "dtype": dtype, "weights": fingerprint(model.module)}
    return {**told, **revision(model.name)}


def fingerprint(module: nn.Module) -> str:
    """Sixteen hex characters that differ where weights differ at the beginning or the end of any tensor.

    That is every other training of a model, and takes no time. The same weights in another dtype have another one.
    """
    found = hashlib.sha256()
    state: dict[str, Any] = module.state_dict()
    for name, tensor in sorted(state.items()):
        flat = tensor.detach().flatten()
        found.update(f"{name} {list(tensor.shape)} {tensor.dtype}".encode())
        for part in (flat[:_VALUES], flat[-_VALUES:]):
            found.update(repr(part.double().tolist()).encode())
    return found.hexdigest()[:16]


def revision(name: str) -> dict[str, str]:
    """The commit of a model of the hub, as its folder in the cache is called; nothing for one that lies elsewhere."""
    folder = _folder(name)
    return {"revision": folder.name} if folder is not None and folder.parent.name == "snapshots" else {}


def _folder(name: str) -> Path | None:
    with suppress(ModelError):
        return find_blip(name)
    with suppress(ModelError):
        return locate(name).checkpoint.parent
    return None
