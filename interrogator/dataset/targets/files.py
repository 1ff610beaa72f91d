"""Writing many small files, or one long one, whole or not at all."""

from __future__ import annotations

import errno
import os
from collections.abc import Iterator, Sequence
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import IO

from ...files import sync_folder, temp_path

_AT_ONCE = 128
# These would meet the next file, too; others (a name too long, a folder without permission) are one file's own.
_STOPS = frozenset({errno.ENOSPC, errno.EDQUOT, errno.EIO, errno.EMFILE, errno.ENFILE, errno.ENOMEM, errno.ENODEV})


def write_many(files: Sequence[tuple[Path, bytes]]) -> dict[Path, OSError]:
    """Writes files as `whole_files.write_whole` does; returns why some could not be written.

    All are written before the first is synced, which lets the disk take them in one go. Raises OSError when the disk is
    full or gone.
    """
    failed: dict[Path, OSError] = {}
    for start in range(0, len(files), _AT_ONCE):
        _write_some(files[start : start + _AT_ONCE], failed)
    return failed


def _write_some(files: Sequence[tuple[Path, bytes]], failed: dict[Path, OSError]) -> None:
    aside: list[tuple[Path, Path, IO[bytes]]] = []
    try:
        for path, data in files:
            try:
                path.parent.mkdir(parents=True, exist_ok=True)
                temporary = temp_path(path.parent)
                file: IO[bytes] = open(temporary, "xb")  # noqa: SIM115
                aside.append((temporary, path, file))
                file.write(data)
                file.flush()
            except OSError as error:
                _note(path, error, failed)
        for _, path, written in aside:
            if path not in failed:
                os.fsync(written.fileno())
            written.close()
        for temporary, path, _ in aside:
            if path not in failed:
                try:
                    os.replace(temporary, path)
                except OSError as error:
                    _note(path, error, failed)
    finally:
        for temporary, _, written in aside:
            with suppress(OSError):
                written.close()
            with suppress(OSError):
                temporary.unlink()
    for folder in {path.parent for path, _ in files}:
        sync_folder(folder)


def _note(path: Path, error: OSError, failed: dict[Path, OSError]) -> None:
    if error.errno in _STOPS:
        raise error
    failed[path] = error


class WholeFiles:
    """Long files that take their names together, when the `with` block ends without an error; else none does.

    Those opened last are renamed first. Raises OSError.
    """

    def __init__(self) -> None:
        self._written: list[tuple[Path, Path]] = []

    def __enter__(self) -> WholeFiles:
        return self

    def __exit__(self, kind: object, *rest: object) -> None:
        try:
            if kind is None:
                for aside, final in reversed(self._written):
                    os.replace(aside, final)
                for folder in {final.parent for _, final in self._written}:
                    sync_folder(folder)
        finally:
            for aside, _ in self._written:
                with suppress(OSError):
                    aside.unlink()

    @contextmanager
    def open(self, path: Path) -> Iterator[IO[bytes]]:
        """A file to write to that will be `path`."""
        path.parent.mkdir(parents=True, exist_ok=True)
        aside = temp_path(path.parent)
        self._written.append((aside, path))
        with open(aside, "xb") as file:
            yield file
            file.flush()
            os.fsync(file.fileno())


@contextmanager
def whole_file(path: Path) -> Iterator[IO[bytes]]:
    """A file to write to that becomes `path` when all went well; else `path` stays as it was. Raises OSError."""
    with WholeFiles() as files, files.open(path) as file:
        yield file
