"""What the files of a target were before a run first wrote them, so that an undo gives back every byte.

    RUN/originals/before.json   names of the files that were there, with their size and time
    RUN/originals/00000 …       those files: links where the disk has them, for a target never changes a file in place
    RUN/originals/written.json  the files as the run left them
    RUN/originals/writing       while the run writes them, and until it has noted what it left
    RUN/originals/spoiled       somebody has changed them between two writings

Only targets with files for many captions need it. Where somebody has changed a file since the run wrote it, an undo
goes caption by caption instead.
"""

from __future__ import annotations

import json
import os
import shutil
from collections.abc import Iterable, Sequence
from contextlib import suppress
from pathlib import Path

from ...files import sync_folder, temp_path, write_whole

_BEFORE, _WRITTEN, _WRITING, _SPOILED = "before.json", "written.json", "writing", "spoiled"
Stamp = tuple[int, int]
"""Size and time of a file, in nanoseconds."""


class Originals:
    """The files that were there before a run, in its folder."""

    def __init__(self, run: Path) -> None:
        self._folder = run / "originals"

    def keep(self, files: Iterable[Path]) -> None:
        """Keep what is there now, unless something is kept already; `seal` follows the writing. Raises OSError.

        If somebody has changed what the run wrote, it is about to be mixed with what the run writes next. A run that
        was killed while it wrote has changed the files itself.
        """
        if (self._folder / _BEFORE).exists():
            written = self._read(_WRITTEN)
            if written is not None and written != _stamps(files) and not (self._folder / _WRITING).exists():
                write_whole(self._folder / _SPOILED, b"")
        else:
            self._begin(files)
        write_whole(self._folder / _WRITING, b"")

    def _begin(self, files: Iterable[Path]) -> None:
        shutil.rmtree(self._folder, ignore_errors=True)  # half of an earlier try
        self._folder.mkdir(parents=True)
        stamps = _stamps(files)
        for number, name in enumerate(stamps):
            _link(Path(name), self._kept(number))
        write_whole(self._folder / _BEFORE, json.dumps(stamps).encode())

    def seal(self, files: Iterable[Path]) -> None:
        """Note what the run has written. Raises OSError."""
        write_whole(self._folder / _WRITTEN, json.dumps(_stamps(files)).encode())
        (self._folder / _WRITING).unlink(missing_ok=True)

    def put_back(self, files: Sequence[Path]) -> bool:
        """Put every file back as it was and remove those that were not there; False, and nothing, where that is wrong.

        files: of the target now. May be stopped anywhere and called again. Raises OSError.
        """
        before, written = self._read(_BEFORE), self._read(_WRITTEN)
        if before is None or written is None or (self._folder / _SPOILED).exists():
            return False
        now = _stamps([*files, *map(Path, before)])
        if any(stamp not in (written.get(name), before.get(name)) for name, stamp in now.items()):
            return False
        if any(name not in now for name in written.keys() & before.keys()):
            return False  # somebody has removed it
        for number, (name, stamp) in enumerate(before.items()):
            if now.get(name) != stamp:
                _replace(self._kept(number), Path(name))
        for name in now.keys() - before.keys():
            Path(name).unlink(missing_ok=True)
        for folder in {Path(name).parent for name in (*now, *before)}:
            sync_folder(folder)
        return True

    def _kept(self, number: int) -> Path:
        return self._folder / f"{number:05d}"

    def _read(self, name: str) -> dict[str, Stamp] | None:
        try:
            stamps = json.loads((self._folder / name).read_bytes())
        except FileNotFoundError:
            return None
        return {path: (size, time) for path, (size, time) in stamps.items()}


def _stamps(files: Iterable[Path]) -> dict[str, Stamp]:
    """By absolute path, what tells a file's content from that of others, of those that are there."""
    found: dict[str, Stamp] = {}
    for file in files:
        with suppress(FileNotFoundError):
            status = os.stat(file)
            found[os.path.abspath(file)] = (status.st_size, status.st_mtime_ns)
    return found


def _link(file: Path, kept: Path) -> None:
    try:
        os.link(os.path.realpath(file), kept)
    except OSError:  # no hard links there
        shutil.copy2(file, kept)


def _replace(kept: Path, file: Path) -> None:
    """Put a kept file back under its name; it stays kept."""
    aside = temp_path(file.parent)
    try:
        _link(kept, aside)
        os.replace(aside, file)
    finally:
        aside.unlink(missing_ok=True)  # of two links to one file the first may stay
