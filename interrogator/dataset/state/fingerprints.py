"""What tells the models of one run from those of another."""

from __future__ import annotations

import hashlib
from typing import Any

from torch import nn

from ...models import Model

_VALUES = 8


def described(model: Model) -> dict[str, str]:
    """A model's name, where it runs and in what, a fingerprint of its weights, and the hub's revision if known."""
    dtype = str(model.dtype).removeprefix("torch.")
    found = {"name": model.name, "device": str(model.device), "dtype": dtype}
    if model.module is not None:
        found["weights"] = fingerprint(model.module)
    if model.origin.revision is not None:
        found["revision"] = model.origin.revision
    return found


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
