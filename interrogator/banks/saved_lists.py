"""Saved lists: what reading a large list file gave, so that the next start neither reads nor parses it.

A file of `hub.home()/lists` holds one list as `Phrases` has it: a header of one line, the borders (int64 [N + 1]), the
texts. Its name follows from the list file's path, size, inode and times, so an edited list has another name and no
file is ever written twice. It is a shortcut only: what cannot be used is made again from the list, and a folder that
cannot be written costs time alone.
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

# Reading a smaller list costs less than a file of ours.
SMALLEST_SAVED_LIST = 1 << 16
KEPT_LISTS = 32
# A file system may give two versions of a file one time if they are written within its tick (FAT's is 2 s).
SETTLED_SECONDS = 2.0
# Goes up when what a list file means changes; the release stands in the name too.
_VERSION = 2
_SUFFIX = ".phrases"
_HEADER_BYTES = 128


class _Damaged(Exception):
    """A saved list cannot be used."""


def folder() -> Path:
    """Where saved lists are. Not created here."""
    return hub.home() / "lists"


def saved_or_read(path: Path, read: Callable[[], Phrases]) -> Phrases:
    """The phrases of a list file: those saved of this very version of it, or what `read` gives, saved for next time.

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
        logger.debug("saved list %s: %s; %s is read again", saved, error, path)
        with suppress(OSError):  # out of the way of the new one: a file that may be mapped is not written over
            saved.unlink()
    phrases = read()
    if saved == _saved_path(path):  # else the list was edited while it was read
        try:
            _save(saved, phrases)
        except OSError as error:
            logger.debug("no saved list of %s (%s)", path, error)
    return phrases


def _saved_path(path: Path) -> Path | None:
    """Where the phrases of this version of a list are saved; None where they are not to be."""
    try:
        state = os.stat(path)
    except OSError:
        return None  # reading says what is wrong
    ages = [abs(time.time() - changed) for changed in (state.st_mtime, state.st_ctime)]
    if state.st_size < SMALLEST_SAVED_LIST or min(ages) < SETTLED_SECONDS:
        return None
    words = [os.path.abspath(path), state.st_size, state.st_mtime_ns, state.st_ctime_ns, state.st_dev, state.st_ino]
    key = json.dumps([*words, _VERSION, __version__, sys.byteorder])
    return folder() / (hashlib.sha256(key.encode()).hexdigest()[:32] + _SUFFIX)


def _save(saved: Path, phrases: Phrases) -> None:
    body = phrases.borders.tobytes() + phrases.data
    header = {
        "count": len(phrases), "bytes": len(phrases.data), "sum": checksum(body), "digest": phrases.digest,
    }  # fmt: skip
    saved.parent.mkdir(parents=True, exist_ok=True)
    write_whole(saved, json.dumps(header).encode().ljust(_HEADER_BYTES) + body)
    keep_newest(saved.parent, _SUFFIX, KEPT_LISTS)


def _open(saved: Path) -> Phrases:
    """The saved list, mapped. Raises OSError, or _Damaged when it is not what was written."""
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
    if len(whole) != border + size or checksum(whole[_HEADER_BYTES:]) != sum_ or len(digest) != 32:
        raise _Damaged("it is not what was written")
    with suppress(OSError):  # the age of a saved list is when it was last used
        os.utime(saved)
    return Phrases(whole[_HEADER_BYTES:border], whole[border:], digest)
