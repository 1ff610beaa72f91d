"""Saved lists: the parsed contents of a large list file, so that the next start neither reads nor parses it.

A file in `hub.home()/lists` holds one list in the format of `Phrases`: a header of one line, the borders (int64
[N + 1]), the texts. Its name is derived from the list file's path, size, inode and times, so an edited list gets a new
name and no file is written twice. It is only a shortcut: an unusable file is recreated from the list, and a read-only
folder merely costs time.
"""

from __future__ import annotations

import hashlib
import json
import logging
import mmap
import os
import sys
import time
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path

from .. import hub
from ..checksum import checksum
from ..files import keep_newest, write_whole
from ..phrases import Phrases
from ..version import __version__

logger = logging.getLogger("interrogator")

# Smaller lists are faster to read than a saved list.
SMALLEST_SAVED_LIST = 1 << 16
KEPT_LISTS = 32
# Two versions of a file written within the time resolution of the file system (2 s on FAT) may have the same time.
SETTLED_SECONDS = 2.0
# Increase this when the interpretation of list files changes; the release is part of the name too.
_VERSION = 4
_SUFFIX = ".phrases"
_HEADER_BYTES = 128


class _Damaged(Exception):
    """A saved list cannot be used."""


def folder() -> Path:
    """The folder of saved lists. Not created here."""
    return hub.home() / "lists"


def saved_or_read(path: Path, read: Callable[[], Phrases]) -> Phrases:
    """The phrases of a list file: those saved for this version of it, or the result of `read`, saved for next time.

    Raises what `read` raises.
    """
    saved = _saved_path(path)
    if saved is None:
        return read()
    try:
        return _open(saved)
    except FileNotFoundError:
        pass
    except (OSError, _Damaged) as error:
        logger.debug("saved list %s: %s; reading %s again", saved, error, path)
        with suppress(OSError):  # makes room for the new one: a file that may be mapped is not overwritten
            saved.unlink()
    phrases = read()
    if saved == _saved_path(path):  # otherwise the list was edited while being read
        try:
            _save(saved, phrases)
        except OSError as error:
            logger.debug("cannot save the list of %s (%s)", path, error)
    return phrases


def _saved_path(path: Path) -> Path | None:
    """Where the phrases of this version of a list are saved; None if they should not be."""
    try:
        state = os.stat(path)
    except OSError:
        return None  # reading it reports what is wrong
    ages = [abs(time.time() - changed) for changed in (state.st_mtime, state.st_ctime)]
    if state.st_size < SMALLEST_SAVED_LIST or min(ages) < SETTLED_SECONDS:
        return None
    words = [os.path.abspath(path), state.st_size, state.st_mtime_ns, state.st_ctime_ns, state.st_dev, state.st_ino]
    key = json.dumps([*words, _VERSION, __version__, sys.byteorder])
    return folder() / (hashlib.sha256(key.encode()).hexdigest()[:32] + _SUFFIX)


def _save(saved: Path, phrases: Phrases) -> None:
    body = phrases.borders.tobytes() + phrases.data
    header = {
        "count": len(phrases), "bytes": len(phrases.data), "sum": _sum(saved, body), "digest": phrases.digest,
    }  # fmt: skip
    saved.parent.mkdir(parents=True, exist_ok=True)
    write_whole(saved, json.dumps(header).encode().ljust(_HEADER_BYTES) + body)
    keep_newest(saved.parent, _SUFFIX, KEPT_LISTS)


def _sum(saved: Path, body: bytes | memoryview) -> int:
    """A checksum bound to the name, so that one saved list is never taken for another."""
    return checksum(body) ^ int(saved.stem[:16], 16)


def _open(saved: Path) -> Phrases:
    """The saved list, memory-mapped. Raises OSError, or _Damaged if it is not intact."""
    with open(saved, "rb") as file:
        try:
            whole = memoryview(mmap.mmap(file.fileno(), 0, access=mmap.ACCESS_READ))
        except ValueError as error:  # an empty file
            raise _Damaged(str(error)) from error
    try:
        header = json.loads(bytes(whole[:_HEADER_BYTES]))
        border = _HEADER_BYTES + 8 * (int(header["count"]) + 1)
        size, sum_, digest = int(header["bytes"]), int(header["sum"]), str(header["digest"])
    except (ValueError, KeyError, TypeError) as error:
        raise _Damaged(str(error)) from error
    if len(whole) != border + size or _sum(saved, whole[_HEADER_BYTES:]) != sum_ or len(digest) != 32:
        raise _Damaged("checksum or size differs")
    with suppress(OSError):  # the modification time records the last use
        os.utime(saved)
    return Phrases(whole[_HEADER_BYTES:border], whole[border:], digest)
