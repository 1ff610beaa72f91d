"""One run at a time: a folder is locked while a run works on it, and whoever comes second learns by whom."""

from __future__ import annotations

import json
import os
import socket
import time
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path
from types import TracebackType
from typing import IO, Any

from ...errors import RequestError
from ...locks import has_shared_locks, try_lock_if_supported

_RUN, _RANK = "run.lock", "rank-{}.lock"


class RunLock:
    """The lock of a folder, released at the end of the `with` block, or by the system when the process dies.

    Several processes of one run (`rank` of `world_size`) hold it together; each holds its own rank alone.
    """

    def __init__(self, folder: Path, rank: int = 0, world_size: int = 1, run: str = "") -> None:
        """Take the lock.

        Args:
            run: what is done here; those who share the folder have to do the same.

        Raises:
            RequestError: another run holds the folder; says which process, on which machine, since when.
            OSError: the folder cannot be written.
        """
        folder.mkdir(parents=True, exist_ok=True)
        self._folder = folder
        self._files: list[IO[bytes]] = []
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

    def __enter__(self) -> RunLock:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        self.release()

    def release(self) -> None:
        """Release the lock. May be called twice."""
        while self._files:
            with suppress(OSError):  # a name that a full disk has no room for
                self._files.pop().close()  # closing unlocks

    def _take(self, path: Path, shared: bool, **facts: int | str) -> None:
        file = open(path, "ab", buffering=0)  # noqa: SIM115  open as long as it is locked
        self._files.append(file)
        if not try_lock_if_supported(file.fileno(), shared=shared):
            raise self._is_held(self._holder())
        if shared:
            return
        since = time.strftime("%Y-%m-%d %H:%M:%S")
        holder = {"process": os.getpid(), "machine": socket.gethostname(), "since": since, **facts}
        with suppress(OSError):  # on a full disk the lock holds all the same
            file.truncate(0)
            file.write(json.dumps(holder).encode())

    def _check_alone(self) -> None:
        # Where there are shared locks, nobody has a rank now.
        for holder in _holders(self._folder, but=self._folder / _RUN):
            raise self._is_held(_describe(holder))

    def _check_others(self, rank: int, world_size: int, run: str) -> None:
        for holder in _holders(self._folder, but=self._folder / _RANK.format(rank)):
            if (holder.get("world_size"), holder.get("run")) != (world_size, run):
                size = holder.get("world_size")
                what = "another run" if holder.get("run") != run else f"{size} processes that share it"
                raise RequestError(
                    f"{self._folder} is held by {what} ({_describe(holder)}); this is process {rank} of {world_size}"
                )

    def _is_held(self, holder: str) -> RequestError:
        return RequestError(f"{self._folder} is held by another run ({holder}): wait for it to finish, or stop it")

    def _holder(self) -> str:
        return next((_describe(holder) for holder in _holders(self._folder)), "which left no name")


def _holders(folder: Path, but: Path | None = None) -> Iterator[dict[str, Any]]:
    """What those who hold an exclusive lock of this folder wrote about themselves."""
    for path in [folder / _RUN, *sorted(folder.glob(_RANK.format("*")))]:
        if path == but:
            continue
        with suppress(OSError, ValueError), open(path, "r+b", buffering=0) as file:
            # A lock that this takes itself ends with the `with` block; a shared one would disturb nobody.
            if not try_lock_if_supported(file.fileno(), shared=has_shared_locks()):
                holder = json.loads(path.read_text(encoding="utf-8"))
                yield holder if isinstance(holder, dict) else {}


def _describe(holder: dict[str, Any]) -> str:
    return f"process {holder.get('process')} on {holder.get('machine')}, since {holder.get('since')}"
