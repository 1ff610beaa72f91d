"""Opening files of the cache, and warning about those that cannot be used."""

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
# A writer needs seconds for a file; one that has not moved for an hour belongs to a process that died.
STALE_SECONDS = 3600.0


class DamagedFile(CacheError):
    """A file of the cache cannot be used. Never leaves this package: the reader warns and computes anew."""

    def __init__(self, path: Path, reason: str) -> None:
        self.path = path
        self.reason = reason
        super().__init__(path, reason)

    def __str__(self) -> str:
        return f"{self.path}: {self.reason}"


class WarnOnce:
    """Warns about each problem of a cache folder once, and moves damaged files where no reader looks."""

    def __init__(self) -> None:
        self._subjects: set[str] = set()

    def once(self, subject: Path | str, message: str) -> None:
        """Logs a warning, unless one about the same subject was logged before."""
        if str(subject) not in self._subjects:
            self._subjects.add(str(subject))
            logger.warning("embedding cache: %s", message)

    def damaged(self, error: DamagedFile, move: Path | None = None) -> None:
        """Warns about a damaged file and sets it, or the folder `move` it belongs to, aside as `*.damaged`."""
        self.once(error.path, f"{error.path} cannot be used ({error.reason}); its contents are computed again")
        victim = move or error.path
        target = victim.with_name(victim.name + DAMAGED_SUFFIX)
        if target.exists():
            target = victim.with_name(f"{victim.name}.{uuid4().hex[:8]}{DAMAGED_SUFFIX}")
        with suppress(OSError):  # read-only, or mapped on Windows: it stays, and the next reader warns about it
            victim.rename(target)

    def unreadable(self, path: Path, error: OSError) -> None:
        """Warns about a file or folder that the operating system refuses; it may be fine tomorrow, so it stays."""
        if not isinstance(error, FileNotFoundError):  # gone: cleared or merged by somebody else
            self.once(path, f"{path} cannot be read ({error.strerror or error}); continuing without it")


def remove_stale_temps(*folders: Path) -> None:
    """Remove what dead writers left in these folders; what is younger than an hour may belong to a live one."""
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
    """An open safetensors file; its tensors are private maps of the file, not copies (seen in safetensors 0.8).

    Raises DamagedFile where the contents are wrong and OSError where the file cannot be opened.
    """
    try:
        with safe_open(path, framework="pt") as file:
            yield file
    except (SafetensorError, KeyError, ValueError, TypeError) as error:
        raise DamagedFile(path, str(error) or type(error).__name__) from error
    except RuntimeError as error:  # torch's word for a map that the operating system refused
        raise OSError(str(error)) from error
