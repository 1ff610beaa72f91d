"""Reading files of the cache, and handling those that cannot be used."""

from __future__ import annotations

import logging
import os
import shutil
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any
from uuid import uuid4

from safetensors import SafetensorError, safe_open

from ..errors import CacheError
from ..files import is_temp

logger = logging.getLogger("interrogator")

FORMAT_VERSION = 1
DAMAGED_SUFFIX = ".damaged"
# Writing a file takes seconds, so one unchanged for an hour belongs to a process that died.
STALE_SECONDS = 3600.0


class DamagedFile(CacheError):
    """A file of the cache cannot be used. Never leaves this package: the reader warns and recomputes."""

    def __init__(self, path: Path, reason: str) -> None:
        self.path = path
        self.reason = reason
        super().__init__(path, reason)

    def __str__(self) -> str:
        return f"{self.path}: {self.reason}"


class WarnOnce:
    """Warns about each problem of a cache folder once, and moves damaged files out of the readers' way."""

    def __init__(self) -> None:
        self._warned: set[str] = set()

    def once(self, subject: Path | str, message: str) -> None:
        """Log a warning unless one about the same subject has been logged."""
        if str(subject) not in self._warned:
            self._warned.add(str(subject))
            logger.warning("embedding cache: %s", message)

    def damaged(self, error: DamagedFile, move: Path | None = None) -> None:
        """Warn about a damaged file and rename it, or its folder `move`, to `*.damaged`."""
        self.once(error.path, f"{error.path} cannot be used ({error.reason}); recomputing its contents")
        victim = move or error.path
        target = victim.with_name(victim.name + DAMAGED_SUFFIX)
        if target.exists():
            target = victim.with_name(f"{victim.name}.{uuid4().hex[:8]}{DAMAGED_SUFFIX}")
        with suppress(OSError):  # read-only, or mapped on Windows: it stays, with a warning next time too
            victim.rename(target)

    def unreadable(self, path: Path, error: OSError) -> None:
        """Warn about a file or folder that the system cannot read; it may be readable later, so it stays."""
        if not isinstance(error, FileNotFoundError):  # gone: cleared or merged by another process
            self.once(path, f"{path} cannot be read ({error.strerror or error}); continuing without it")


def remove_stale_temps(*folders: Path) -> None:
    """Remove the temporary files that dead writers left in these folders; younger ones may still be in use."""
    oldest = time.time() - STALE_SECONDS
    for folder in folders:
        with suppress(OSError):
            for path in (folder / name for name in os.listdir(folder) if is_temp(name)):
                with suppress(OSError):
                    if path.stat().st_mtime > oldest:
                        continue
                    if path.is_dir():
                        shutil.rmtree(path, ignore_errors=True)
                    else:
                        path.unlink()


@contextmanager
def open_tensors(path: Path) -> Iterator[Any]:
    """An open safetensors file whose tensors are private maps of the file, not copies (verified with safetensors 0.8).

    Raises DamagedFile if the contents are invalid and OSError if the file cannot be opened.
    """
    try:
        with safe_open(path, framework="pt") as file:
            yield file
    except (SafetensorError, KeyError, ValueError, TypeError) as error:
        raise DamagedFile(path, str(error) or type(error).__name__) from error
    except RuntimeError as error:  # how torch reports a map that the operating system refused
        raise OSError(str(error)) from error
