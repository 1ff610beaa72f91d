"""Which models are not on this machine: how large they are, where they go, under which licence."""

from __future__ import annotations

import os
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from .. import interrogator
from ..interrogator import catalog, hub, registry
from ..interrogator.catalog import KnownModel, Role
from ..interrogator.errors import ModelNotFoundError
from . import host

Wanted = tuple[Role, str]
"""A role, and the name of the model for it."""

_OFFER = "press Download and run on this node, or switch on `download`,"


@contextmanager
def folders_of(role: Role) -> Iterator[None]:
    """While the block runs, models of a role are looked for in ComfyUI's folders, and downloaded to the first one."""
    folders = host.model_folders(role)
    with interrogator.model_folders(folders, download_to=folders[0], offer=_OFFER):
        yield


def folder_of(role: Role, name: str) -> Path | None:
    """Where a model of the catalog is; None if it is not on this machine. Looks at the disk only, and loads no code."""
    row = catalog.known_model(role, name)
    if row is None:
        return None
    with folders_of(role):
        return registry.folder_of(row)


def missing(wanted: Iterable[Wanted]) -> list[KnownModel]:
    """Those of some models that the catalog knows and this machine lacks, each once."""
    rows = [catalog.known_model(role, name) for role, name in dict.fromkeys(wanted)]
    return [row for row in rows if row is not None and folder_of(row.role, row.name) is None]


def described(row: KnownModel) -> dict[str, Any]:
    """What web/js/missing_models.js shows of a model."""
    return {
        "role": row.role, "name": row.name, "megabytes": row.size_mb, "licence": row.terms,
        "folder": str(_target(row)), "page": f"{_hub_address()}/{row.source}",
    }  # fmt: skip


@contextmanager
def named_together(wanted: Iterable[Wanted]) -> Iterator[None]:
    """If the block lacks a model, say so of all of these, not just of the first one.

    Raises ModelNotFoundError: models are missing and may not be downloaded.
    """
    try:
        yield
    except ModelNotFoundError as error:
        absent = missing(wanted)
        if len(absent) < 2:
            raise  # it names the files as well
        raise ModelNotFoundError(_sentence(absent)) from error


def _sentence(absent: list[KnownModel]) -> str:
    each = ", ".join(f"{row.name} ({row.size}, goes to {_target(row)})" for row in absent)
    whole = catalog.in_words(sum(row.size_mb for row in absent))
    return (
        f"{len(absent)} models are not on this machine: {each}. Press Download and run on this node, or switch on"
        f" `download`, to download them ({whole} in all), or put their files there by hand."
    )


def _target(row: KnownModel) -> Path:
    """Where the files of a model go."""
    with folders_of(row.role):
        return hub.local_folder(row.source)


def _hub_address() -> str:
    """Where repositories have their pages: the hub, or the user's mirror."""
    return (os.environ.get("HF_ENDPOINT") or "https://huggingface.co").rstrip("/")
