"""The folders that models are in: our own, and those that a host adds with `model_folders`."""

from __future__ import annotations

import os
import re
import sys
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from contextvars import ContextVar
from dataclasses import dataclass
from os import PathLike
from pathlib import Path

from ..errors import RequestError
from ..paths import given_path


@dataclass(frozen=True)
class _Host:
    """What the block of `model_folders` at hand asked for; all paths are absolute."""

    folders: tuple[Path, ...] = ()
    download_to: Path | None = None
    offer: str | None = None


# What the hub itself accepts: "name" or "org/name" of letters, digits, dot, dash, underscore.
_REPO_ID = re.compile(r"[A-Za-z0-9][\w.-]*(/[A-Za-z0-9][\w.-]*)?")

_NO_HOST = _Host()
_HOST = ContextVar("interrogator_host", default=_NO_HOST)


@contextmanager
def model_folders(
    folders: Sequence[str | PathLike[str]],
    *,
    download_to: str | PathLike[str] | None = None,
    offer: str | None = None,
) -> Iterator[None]:
    """While the block runs, look for models in the folders of a host too, and download into one of them.

    Goes for models named by hub id, in this thread. Of nested blocks the inner one counts.

    Args:
        folders: where a model `org/name` may be, as `org--name`, `name` or `org/name`; they come before
            `models_dir()` and the Hugging Face cache. Those that do not exist are passed over.
        download_to: what is missing is downloaded to `download_to/org--name`, a plain folder, and is found there
            like in `folders`. None leaves downloads to the Hugging Face cache.
        offer: how a person allows a download here, said of a model that is missing: "switch on `download`".
    """
    roots = [_absolute(folder) for folder in folders]
    target = None if download_to is None else _absolute(download_to)
    if target is not None:
        roots.append(target)
    before = _HOST.set(_Host(tuple(dict.fromkeys(roots)), target, offer))
    try:
        yield
    finally:
        _HOST.reset(before)


def is_repo_id(name: str) -> bool:
    """Whether a name has the form of a hub id, `org/name` or `name`."""
    return ".." not in name and _REPO_ID.fullmatch(name) is not None


def home() -> Path:
    """The library's own folder: $INTERROGATOR_HOME, else the folder for caches on this system. Not created here.

    Raises RequestError: this user has no home.
    """
    chosen = os.environ.get("INTERROGATOR_HOME", "").strip()
    if chosen:
        return _absolute(chosen)
    if sys.platform == "win32":
        local = os.environ.get("LOCALAPPDATA", "").strip()
        return (Path(local) if local else _user() / "AppData" / "Local") / "interrogator"
    if sys.platform == "darwin":
        return _user() / "Library" / "Caches" / "interrogator"
    cache = os.environ.get("XDG_CACHE_HOME", "").strip()
    # The XDG rules say to ignore a relative path.
    return (Path(cache) if os.path.isabs(cache) else _user() / ".cache") / "interrogator"


def _user() -> Path:
    """The home of whoever runs this. Raises RequestError: a number without a name, as in containers, has none."""
    try:
        return Path.home()
    except RuntimeError as error:
        raise RequestError("this user has no home: name a folder for our files in INTERROGATOR_HOME") from error


def models_dir() -> Path:
    """The folder that holds one folder a model; people may put files there by hand. Not created here."""
    return home() / "models"


def local_folder(repo_id: str) -> Path:
    """Where a model's files belong when somebody puts them there by hand: `org--name` in the host's folder or ours."""
    return download_folder(repo_id) or models_dir() / _flat(repo_id)


def download_folder(repo_id: str) -> Path | None:
    """The plain folder that the host wants a model downloaded to; None leaves it to the Hugging Face cache."""
    target = _HOST.get().download_to
    return None if target is None else target / _flat(repo_id)


def folders_of(repo_id: str) -> Iterator[Path]:
    """Plain folders that may hold a model `org/name`, best first; they need not exist."""
    name = repo_id.rpartition("/")[2]
    for root in _HOST.get().folders:
        yield from (root / _flat(repo_id), root / name, root / repo_id)
    yield from (models_dir() / _flat(repo_id), models_dir() / name)


def offer_of(size: str | None) -> str:
    """How a person may allow the download of a model, as the end of a sentence; `size` is how large it is."""
    cost = f" ({size})" if size else ""
    offer = _HOST.get().offer
    return f"{offer} to download it{cost}" if offer else f"allow the download{cost} with --download or download=True"


def _flat(repo_id: str) -> str:
    return repo_id.strip("/").replace("/", "--")


def _absolute(path: str | PathLike[str]) -> Path:
    return given_path(path).absolute()
