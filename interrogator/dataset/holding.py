"""One run at a time: a folder is held while a run works on it, and whoever comes second is told by whom."""

from __future__ import annotations

import json
import os
import socket
import time
from contextlib import suppress
from pathlib import Path
from types import TracebackType
from typing import IO

from ..errors import RequestError

try:
    import fcntl
except ImportError:  # Windows
    fcntl = None  # type: ignore[assignment]
    import msvcrt


class Held:
    """A hold on a folder, given up at the end of the `with` block, or by the system when the process dies.

    Several processes of one run (`rank` of `world_size`) hold it together; each holds its own rank alone.
    """

    def __init__(self, folder: Path, rank: int = 0, world_size: int = 1) -> None:
        """Take hold.

        Raises:
            RequestError: another run holds the folder; says which process, on which machine, since when.
            OSError: the folder cannot be written.
        """
        folder.mkdir(parents=True, exist_ok=True)
        self._files: list[IO[str]] = []
        try:
            # With one process the whole folder; with several, all of them share it, and none of another world.
            self._take(folder / "run.lock", shared=world_size > 1, world_size=world_size)
            if world_size > 1:
                self._take(folder / f"rank-{rank}.lock", shared=False, world_size=world_size)
        except BaseException:
            self.release()
            raise

    def __enter__(self) -> Held:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        self.release()

    def release(self) -> None:
        """Give the hold up. May be called twice."""
        while self._files:
            self._files.pop().close()  # closing unlocks

    def _take(self, path: Path, shared: bool, world_size: int) -> None:
        file = open(path, "a+", encoding="utf-8")  # noqa: SIM115  open as long as it is held
        self._files.append(file)
        if not _locked(file, shared):
            raise RequestError(f"{path.parent} is held by another run ({_holder(path)}): wait for it, or stop it")
        if not shared:
            file.truncate(0)
            json.dump(
                {"process": os.getpid(), "machine": socket.gethostname(), "since": time.strftime("%Y-%m-%d %H:%M:%S")},
                file,
            )
            file.flush()


def _locked(file: IO[str], shared: bool) -> bool:
    try:
        if fcntl is not None:
            fcntl.flock(file, (fcntl.LOCK_SH if shared else fcntl.LOCK_EX) | fcntl.LOCK_NB)
        elif not shared:
            # Windows knows no shared locks here, and lets nobody read what is locked: a byte far behind the text.
            file.seek(1 << 20)
            msvcrt.locking(file.fileno(), msvcrt.LK_NBLCK, 1)
        return True
    except OSError:
        return False


def _holder(path: Path) -> str:
    with suppress(OSError, ValueError, KeyError, TypeError):
        told = json.loads(path.read_text(encoding="utf-8"))
        return f"process {told['process']} on {told['machine']}, since {told['since']}"
    return "which did not say who it is"
