"""Locks between processes, on files. No other module asks the operating system for one.

A lock ends when its file is closed, so also when its process dies. POSIX has exclusive and shared locks (flock),
Windows only exclusive ones, and some network disks none at all.
"""

from __future__ import annotations

import errno
import os
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

try:
    import fcntl
except ImportError:  # Windows
    fcntl = None  # type: ignore[assignment]
    import msvcrt

_NO_LOCKS = frozenset({errno.ENOSYS, errno.ENOTSUP, errno.EOPNOTSUPP, errno.ENOLCK})
_HELD = frozenset({errno.EAGAIN, errno.EWOULDBLOCK, errno.EACCES, errno.EDEADLK})
# Windows lets nobody read what is locked: the lock is on a byte far behind whatever the file says.
_LOCKED_BYTE = 1 << 20
_RETRY_SECONDS = 0.1


class LocksUnsupported(OSError):
    """The operating system, or the disk that a file is on, has no locks of this kind."""


def has_shared_locks() -> bool:
    """Whether several processes can hold one lock together on this operating system."""
    return fcntl is not None


def try_lock(descriptor: int, *, shared: bool = False) -> bool:
    """Lock an open file unless another opening of it is locked; return whether it could be locked.

    Raises:
        LocksUnsupported: there are no such locks here.
        OSError: the lock failed for another reason.
    """
    if shared:
        _require_shared_locks()
    try:
        if fcntl is not None:
            fcntl.flock(descriptor, (fcntl.LOCK_SH if shared else fcntl.LOCK_EX) | fcntl.LOCK_NB)
        else:
            os.lseek(descriptor, _LOCKED_BYTE, os.SEEK_SET)
            msvcrt.locking(descriptor, msvcrt.LK_NBLCK, 1)
    except OSError as error:
        if error.errno in _HELD:
            return False
        if error.errno in _NO_LOCKS:
            raise LocksUnsupported(error.errno, error.strerror) from error
        raise
    return True


def try_lock_if_supported(descriptor: int, *, shared: bool = False) -> bool:
    """`try_lock`, but True where there are no such locks: for work that goes on without them."""
    try:
        return try_lock(descriptor, shared=shared)
    except LocksUnsupported:
        return True


def wait_for_shared_lock(descriptor: int) -> None:
    """Share the lock of an open file as soon as nobody holds it alone. Raises OSError, LocksUnsupported among them."""
    _require_shared_locks()
    fcntl.flock(descriptor, fcntl.LOCK_SH)


def _require_shared_locks() -> None:
    if fcntl is None:
        raise LocksUnsupported(errno.ENOTSUP, "Windows has no shared locks")


@contextmanager
def exclusive(path: Path, wait: Callable[[], None]) -> Iterator[None]:
    """While the block runs, no other process is in a block with this file; `wait` is called while one is.

    Where there are no locks, the block just runs. Raises OSError: the file cannot be written.
    """
    with open(path, "ab") as file:
        while not try_lock_if_supported(file.fileno()):
            wait()
            time.sleep(_RETRY_SECONDS)
        yield
