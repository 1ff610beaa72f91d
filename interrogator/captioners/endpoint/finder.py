"""Names of endpoints: complete addresses."""

from __future__ import annotations

import re
from os import PathLike
from pathlib import Path
from typing import Any

from ...errors import ModelLoadError, RequestError
from .address import Address, is_url

# What a person writes who leaves the scheme out.
_BARE = re.compile(r"(?:localhost|\d{1,3}(?:\.\d{1,3}){3}|\[[0-9a-f:]+\])(?::\d+)?(?:/.*)?", re.IGNORECASE)


def find_endpoint(
    name: str, folder: Path | None, *, checkpoint: str | PathLike[str] | None = None, **_: Any
) -> Address | None:
    """The address that a name is, or None where it is no address. Asks no server.

    Raises:
        RequestError: it is one that cannot be used; see `Address.parse`.
        ModelLoadError: it comes with a checkpoint.
    """
    if folder is None and _BARE.fullmatch(name):
        raise RequestError(f"an address needs its scheme: write http://{name}")
    if folder is not None or not is_url(name):
        return None
    if checkpoint is not None:
        raise ModelLoadError("a model behind an endpoint has its own weights; leave the checkpoint out")
    return Address.parse(name)
