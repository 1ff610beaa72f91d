"""Paths as people write them: what can be one, and what may not be read."""

from __future__ import annotations

import os
import stat
from collections.abc import Iterator
from contextlib import contextmanager
from os import PathLike
from pathlib import Path

from .errors import ModelLoadError, RequestError

_LONGEST = 255  # bytes of a name; no common file system takes longer ones


def given_path(path: str | PathLike[str]) -> Path:
    """A path that a person gave, with `~` as a home. Raises RequestError: nothing can be called so."""
    text = os.fspath(path)
    if "\0" in text:
        raise RequestError(f"{text.replace(chr(0), '␀')!r} is no path: it has a zero byte")
    if any(len(os.fsencode(name)) > _LONGEST for name in Path(text).parts):
        raise RequestError(f"{text[:60]}… is no path: a name in it has more than {_LONGEST} bytes")
    try:
        return Path(text).expanduser()
    except RuntimeError as error:
        raise RequestError(f"{text} is no path: there is no home of {Path(text).parts[0]} here") from error


def is_folder(path: Path) -> bool:
    """Whether there is such a folder. Raises PermissionError: that may not be known."""
    try:
        return stat.S_ISDIR(path.stat().st_mode)
    except PermissionError:
        raise
    except (OSError, ValueError):
        return False


@contextmanager
def readable_models() -> Iterator[None]:
    """Turns what the system says of files that may not be read into a ModelLoadError: they are not missing."""
    try:
        yield
    except PermissionError as error:
        raise ModelLoadError(f"{error.filename} may not be read: ask its owner, or name another folder") from error
