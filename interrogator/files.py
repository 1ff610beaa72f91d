"""Files that are either whole or absent, however a writer ends: written aside, synced, renamed."""

from __future__ import annotations

import errno
import os
import re
import stat
import zipfile
from collections.abc import Iterable, Iterator, Sequence
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import IO
from uuid import uuid4

# Both parts are ours alone: a folder may be one in which other programs keep files too.
TEMP_SUFFIX = ".interrogator-tmp"
_TEMP_NAME = re.compile(rf"\.[0-9a-f]{{32}}{re.escape(TEMP_SUFFIX)}")

_AT_ONCE = 128  # files that are open at the same time
# The next file would meet these, too; others (a name too long, a folder without permission) concern one file alone.
_FATAL = frozenset({errno.ENOSPC, errno.EDQUOT, errno.EIO, errno.EMFILE, errno.ENFILE, errno.ENOMEM, errno.ENODEV})
_POINTER = b"version https://git-lfs"


def is_lfs_pointer(path: Path) -> bool:
    """Whether a file is what Git, without LFS, leaves in place of a large one. Raises OSError."""
    with path.open("rb") as file:
        return file.read(len(_POINTER)) == _POINTER


class NotRegular(OSError):
    """A pipe, a device, a socket: reading it might never end."""


class TooLarge(OSError):
    """A file holds more than such a file can."""


def require_regular(path: Path) -> None:
    """Raises NotRegular, and OSError where there is no such file. A folder is left to who opens it."""
    mode = path.stat().st_mode
    if not stat.S_ISREG(mode) and not stat.S_ISDIR(mode):
        raise NotRegular(errno.EINVAL, "it is a pipe or a device, not a file", str(path))


def read_bounded(path: Path, limit: int) -> bytes:
    """The bytes of a regular file. Raises OSError: NotRegular, TooLarge above `limit` bytes, and others."""
    require_regular(path)
    with path.open("rb") as file:
        content = file.read(limit + 1)
    if len(content) > limit:
        raise TooLarge(errno.EFBIG, f"it has more than {limit / 1e6:.0f} MB", str(path))
    return content


def instead_of_content(path: Path) -> str:
    """What a file is instead of data of a model, as the end of a sentence; "" where nothing shows.

    Servers send pages in HTML in place of files, failed copies leave empty ones, and Git without LFS its pointers.
    """
    try:
        require_regular(path)
        with path.open("rb") as file:
            start = file.read(256)
    except NotRegular:
        return "is a pipe or a device, not a file"
    except OSError as error:
        return f"cannot be read: {error.strerror or error}"
    if not start:
        return "is empty: download it again"
    if start.startswith(_POINTER):
        return "is a pointer of Git LFS, not the file itself: fetch it with `git lfs pull`"
    if start.lstrip(b"\xef\xbb\xbf \t\r\n")[:5].lower() in (b"<!doc", b"<html", b"<head", b"<?xml"):
        return "is a page of a website, not the file itself: download it again"
    return ""


def is_zip(path: Path) -> bool:
    """Whether a file is a ZIP archive, a damaged one as well. Raises OSError."""
    try:
        return zipfile.is_zipfile(path)
    except zipfile.BadZipFile:  # of the parts that are found, one says what cannot be
        return True


def temp_path(folder: Path) -> Path:
    """A new name in `folder`, which readers ignore."""
    return folder / f".{uuid4().hex}{TEMP_SUFFIX}"


def is_temp(name: str) -> bool:
    """Whether a file of this name was made by `temp_path`."""
    return name.endswith(TEMP_SUFFIX) and _TEMP_NAME.fullmatch(name) is not None  # the first part alone is quick


def write_whole(path: Path, data: bytes) -> None:
    """Write a file so that readers, and the disk after a crash, see all of it or nothing. Raises OSError."""
    write_pieces(path, [data])


def write_pieces(path: Path, pieces: Iterable[bytes]) -> None:
    """Like `write_whole`, a piece at a time; an error of the pieces leaves the file as it was, too."""
    with whole_file(path) as file:
        file.writelines(pieces)


@contextmanager
def whole_file(path: Path) -> Iterator[IO[bytes]]:
    """A file to write to that becomes `path` if the block ends without an error; else `path` stays as it was.

    Raises OSError.
    """
    with FileGroup() as files, files.open(path) as file:
        yield file


class FileGroup:
    """Long files that take their names together, when the `with` block ends without an error; else none does.

    Those opened last are renamed first. Raises OSError.
    """

    def __init__(self) -> None:
        self._written: list[tuple[Path, Path]] = []

    def __enter__(self) -> FileGroup:
        return self

    def __exit__(self, kind: object, *rest: object) -> None:
        try:
            if kind is None:
                for aside, final in reversed(self._written):
                    os.replace(aside, final)
        finally:
            for aside, _ in self._written:
                with suppress(OSError):
                    aside.unlink()
        if kind is None:
            for folder in {final.parent for _, final in self._written}:
                sync_folder(folder)

    @contextmanager
    def open(self, path: Path) -> Iterator[IO[bytes]]:
        """A file to write to that will be `path`."""
        aside = temp_path(path.parent)
        self._written.append((aside, path))
        with open(aside, "xb") as file:
            yield file
            file.flush()
            os.fsync(file.fileno())


def write_many(files: Sequence[tuple[Path, bytes]]) -> dict[Path, OSError]:
    """Write files as `write_whole` does, with the folders they need; return why some could not be written.

    All are written before the first is synced, which lets the disk take them in one go.
    Raises OSError: the disk is full or gone.
    """
    failed: dict[Path, OSError] = {}
    for start in range(0, len(files), _AT_ONCE):
        _write_some(files[start : start + _AT_ONCE], failed)
    return failed


def _write_some(files: Sequence[tuple[Path, bytes]], failed: dict[Path, OSError]) -> None:
    written: list[tuple[Path, Path, IO[bytes]]] = []
    try:
        for path, data in files:
            try:
                path.parent.mkdir(parents=True, exist_ok=True)
                aside = temp_path(path.parent)
                file: IO[bytes] = open(aside, "xb")  # noqa: SIM115  closed below, all together
                written.append((aside, path, file))
                file.write(data)
                file.flush()
            except OSError as error:
                _note(path, error, failed)
        for _, path, file in written:
            if path not in failed:
                os.fsync(file.fileno())
            file.close()
        for aside, path, _ in written:
            if path not in failed:
                try:
                    os.replace(aside, path)
                except OSError as error:
                    _note(path, error, failed)
    finally:
        for aside, _, file in written:
            with suppress(OSError):
                file.close()
            with suppress(OSError):
                aside.unlink()
    for folder in {path.parent for path, _ in files}:
        sync_folder(folder)


def _note(path: Path, error: OSError, failed: dict[Path, OSError]) -> None:
    if error.errno in _FATAL:
        raise error
    failed[path] = error


def sync_folder(folder: Path) -> None:
    """Make a rename inside `folder` survive a power cut, where the operating system knows how."""
    with suppress(OSError):  # Windows opens no folders
        descriptor = os.open(folder, os.O_RDONLY)
        try:
            os.fsync(descriptor)
        finally:
            os.close(descriptor)


def keep_newest(folder: Path, suffix: str, count: int) -> None:
    """Remove the files of `folder` that end in `suffix`, except the `count` changed last."""
    with suppress(OSError):  # another process may be removing the same ones
        by_age = sorted(folder.glob(f"*{suffix}"), key=lambda path: path.stat().st_mtime)
        for path in by_age[:-count]:
            path.unlink()
