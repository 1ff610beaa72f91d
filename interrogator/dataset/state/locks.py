"""One run at a time: a folder is held while a run works on it, and whoever comes second is told by whom."""

from __future__ import annotations

import errno
import json
import os
import socket
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from types import TracebackType
from typing import IO, Any

from ...errors import RequestError

try:
    import fcntl
except ImportError:  # Windows
    fcntl = None  # type: ignore[assignment]
    import msvcrt

_RUN, _RANK = "run.lock", "rank-{}.lock"
_AGAIN_SECONDS = 0.1
# Windows lets nobody read what is locked: the lock is on a byte far behind the text.
_BEHIND = 1 << 20


class Held:
    """A hold on a folder, given up at the end of the `with` block, or by the system when the process dies.

    Several processes of one run (`rank` of `world_size`) hold it together; each holds its own rank alone.
    """

    def __init__(self, folder: Path, rank: int = 0, world_size: int = 1, run: str = "") -> None:
        """Take hold.

        Args:
            run: what is done here; those who share the folder have to do the same.

        Raises:
            RequestError: another run holds the folder; says which process, on which machine, since when.
            OSError: the folder cannot be written.
        """
        folder.mkdir(parents=True, exist_ok=True)
        self._folder = folder
        self._files: list[IO[str]] = []
        try:
            # One process holds the whole folder; several share it, each with its rank, and with none of another world.
            if world_size == 1:
                self._take(folder / _RUN, shared=False)
                self._check_alone()
            else:
                self._take(folder / _RUN, shared=True)
                self._take(folder / _RANK.format(rank), shared=False, world_size=world_size, run=run)
                self._check_others(rank, world_size, run)
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
            with suppress(OSError):  # a name that a full disk has no room for
                self._files.pop().close()  # closing unlocks

    def _take(self, path: Path, shared: bool, **facts: int | str) -> None:
        file = open(path, "a+", encoding="utf-8")  # noqa: SIM115  open as long as it is held
        self._files.append(file)
        if not _locked(file, shared):
            raise RequestError(f"{self._folder} is held by another run ({self._holder()}): wait for it, or stop it")
        if shared:
            return
        since = time.strftime("%Y-%m-%d %H:%M:%S")
        told = {"process": os.getpid(), "machine": socket.gethostname(), "since": since, **facts}
        with suppress(OSError):  # on a full disk the lock holds all the same
            file.truncate(0)
            file.write(json.dumps(told))
            file.flush()

    def _check_alone(self) -> None:
        # Where there are shared locks, nobody has a rank now.
        for told in _holders(self._folder, but=self._folder / _RUN):
            raise RequestError(f"{self._folder} is held by another run ({_named(told)}): wait for it, or stop it")

    def _check_others(self, rank: int, world_size: int, run: str) -> None:
        for told in _holders(self._folder, but=self._folder / _RANK.format(rank)):
            if (told.get("world_size"), told.get("run")) != (world_size, run):
                what = "another run" if told.get("run") != run else f"{told.get('world_size')} processes that share it"
                raise RequestError(
                    f"{self._folder} is held by {what} ({_named(told)}); this is process {rank} of {world_size}"
                )

    def _holder(self) -> str:
        return next((_named(told) for told in _holders(self._folder)), "which did not say who it is")


@contextmanager
def one_at_a_time(path: Path, wait: Callable[[], None]) -> Iterator[None]:
    """While the block runs, no other process is in a block with this file; `wait` is called while one is.

    Raises OSError: the file cannot be written.
    """
    with open(path, "a+", encoding="utf-8") as file:
        while not _locked(file, shared=False):
            wait()
            time.sleep(_AGAIN_SECONDS)
        yield


def _holders(folder: Path, but: Path | None = None) -> Iterator[dict[str, Any]]:
    """What those say of themselves who hold a lock of this folder alone."""
    for path in [folder / _RUN, *sorted(folder.glob(_RANK.format("*")))]:
        if path == but:
            continue
        with suppress(OSError, ValueError), open(path, "r+", encoding="utf-8") as file:
            # Windows knows no shared lock that would find out; one that is had here ends with the `with` block.
            if not _locked(file, shared=fcntl is not None):
                told = json.loads(path.read_text(encoding="utf-8"))
                yield told if isinstance(told, dict) else {}


def _named(told: dict[str, Any]) -> str:
    return f"process {told.get('process')} on {told.get('machine')}, since {told.get('since')}"


def _locked(file: IO[str], shared: bool) -> bool:
    """Whether the lock could be had; true, too, where the file system knows none."""
    try:
        if fcntl is not None:
            fcntl.flock(file, (fcntl.LOCK_SH if shared else fcntl.LOCK_EX) | fcntl.LOCK_NB)
        elif not shared:  # Windows knows no shared ones
            file.seek(_BEHIND)
            msvcrt.locking(file.fileno(), msvcrt.LK_NBLCK, 1)
        return True
    except OSError as error:
        return error.errno in (errno.ENOSYS, errno.ENOTSUP, errno.EOPNOTSUPP, errno.ENOLCK)
