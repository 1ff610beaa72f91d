"""Files that are either whole or absent, however a writer ends."""

from __future__ import annotations

import os
from collections.abc import Iterable
from contextlib import suppress
from pathlib import Path
from uuid import uuid4

import numpy as np

# Both parts are ours alone: a folder may be one in which other programs keep files too.
TEMP_SUFFIX = ".interrogator-tmp"
TEMP_PATTERN = "." + 32 * "[0-9a-f]" + TEMP_SUFFIX


def temp_path(folder: Path) -> Path:
    """A name of its own in `folder`, which readers ignore."""
    return folder / f".{uuid4().hex}{TEMP_SUFFIX}"


def write_whole(path: Path, data: bytes) -> None:
    """Writes a file so that readers, and the disk after a crash, see all of it or nothing. Raises OSError."""
    write_pieces(path, [data])


def write_pieces(path: Path, pieces: Iterable[bytes]) -> None:
    """Like `write_whole`, a piece at a time; an error of the pieces leaves the file as it was, too."""
    aside = temp_path(path.parent)
    try:
        with open(aside, "xb") as file:
            file.writelines(pieces)
            file.flush()
            os.fsync(file.fileno())
        os.replace(aside, path)
    except BaseException:
        with suppress(OSError):
            aside.unlink()
        raise
    sync_folder(path.parent)


def check_sum(data: bytes | memoryview) -> int:
    """A number that damage changes: the sum of the 64-bit words, taken as fast as memory can be read.

    For files that only shorten work: it is no defence against whoever means to deceive it.
    """
    whole = len(data) // 8 * 8
    return (int(np.frombuffer(data[:whole], dtype="<u8").sum()) + int.from_bytes(data[whole:], "little")) % 2**64


def sync_folder(folder: Path) -> None:
    """Makes a rename inside `folder` survive a power cut, where the operating system knows how."""
    with suppress(OSError):  # Windows opens no folders
        descriptor = os.open(folder, os.O_RDONLY)
        try:
            os.fsync(descriptor)
        finally:
            os.close(descriptor)


def keep_newest(folder: Path, suffix: str, count: int) -> None:
    """Removes the files of `folder` that end in `suffix` but for the `count` changed last."""
    with suppress(OSError):  # somebody else may be removing the same ones
        by_age = sorted(folder.glob(f"*{suffix}"), key=lambda path: path.stat().st_mtime)
        for path in by_age[:-count]:
            path.unlink()
