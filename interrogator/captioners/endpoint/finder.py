"""Names of endpoints: complete addresses."""

from __future__ import annotations

from os import PathLike
from pathlib import Path
from typing import Any

from ...errors import ModelLoadError
from .address import Address, is_url


def find_endpoint(
    name: str, folder: Path | None, *, checkpoint: str | PathLike[str] | None = None, **_: Any
) -> Address | None:
    """The address that a name is, or None where it is no address. Asks no server.

    Raises:
        RequestError: it is one that cannot be used; see `Address.parse`.
        ModelLoadError: it comes with a checkpoint.
    """
    if folder is not None or not is_url(name):
        return None
    if checkpoint is not None:
        raise ModelLoadError("a model behind an endpoint has its own weights; leave the checkpoint out")
    return Address.parse(name)
