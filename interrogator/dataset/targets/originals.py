"""Originals: the files of a target as they were before the run, so that an undo gives them back byte for byte.

    RUN/originals/<name>        a copy of the file, if there was one
    RUN/originals/<name>.state  its digest, and those of what the run has made of it

A row that the run does not know, or a file that was not there, leaves no trace in records; so the records put back
single captions, where somebody has changed the file since, and the copy puts back all others.
"""

from __future__ import annotations

import hashlib
import json
import os
import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import IO, Any

from ...files import sync_folder, temp_path, whole_file, write_whole

_ABSENT = "absent"


class Originals:
    """Keeps the files that a target rewrites.

    All calls raise OSError when the disk is full or gone.
    """

    def __init__(self, folder: Path | None = None) -> None:
        """folder: where copies go; made when the first is. None keeps nothing."""
        self._folder = folder

    @contextmanager
    def rewriting(self, path: Path) -> Iterator[IO[bytes]]:
        """As `files.whole_file`, with the original kept and what is written remembered as ours."""
        if self._folder is None:
            with whole_file(path) as file:
                yield file
            return
        aside = temp_path(path.parent)
        try:
            with open(aside, "wb") as file:
                yield file
                file.flush()
                os.fsync(file.fileno())
            # Known as ours before it has its name: whoever finds it there after a crash knows whose it is.
            self._remember(path, _digest(aside))
            os.replace(aside, path)
            sync_folder(path.parent)
        finally:
            aside.unlink(missing_ok=True)

    def was_there(self, path: Path) -> bool:
        """Whether the file existed before the run; so it is said of one of which nothing is known."""
        return bool(self._state(path).get("was_there", True))

    def put_back(self, path: Path) -> bool:
        """Give a file back as it was, unless somebody has changed it since; whether it is as it was now."""
        state, now = self._state(path), _digest(path)
        if not state or now not in (state["original"], *state["ours"]):
            return False
        if state["original"] == _ABSENT:
            path.unlink(missing_ok=True)
        elif now != state["original"]:
            with whole_file(path) as file, open(self._copy(path), "rb") as copy:
                shutil.copyfileobj(copy, file)
        return True

    def _remember(self, path: Path, digest: str) -> None:
        """Write down that the run makes a file of this digest out of what is there; keep that if it is the original."""
        assert self._folder is not None
        now, state = _digest(path), self._state(path)
        if not state:
            self._folder.mkdir(parents=True, exist_ok=True)
            if now != _ABSENT:
                with whole_file(self._copy(path)) as file, open(path, "rb") as original:
                    shutil.copyfileobj(original, file)
            state = {"was_there": now != _ABSENT, "original": now, "ours": []}
        elif now not in (state["original"], *state["ours"]):
            state |= {"original": "", "ours": []}  # what is written from now on holds somebody's changes
        if state["original"]:
            state["ours"] = [*state["ours"][-1:], digest]
        write_whole(self._state_file(path), json.dumps(state).encode())

    def _state(self, path: Path) -> dict[str, Any]:
        """What is known of a file; nothing, if the run has not written it."""
        if self._folder is None:
            return {}
        try:
            state: dict[str, Any] = json.loads(self._state_file(path).read_bytes())
            return state if {"original", "ours"} <= state.keys() else {}
        except (FileNotFoundError, ValueError, AttributeError):
            return {}

    def _copy(self, path: Path) -> Path:
        assert self._folder is not None
        return self._folder / path.name

    def _state_file(self, path: Path) -> Path:
        assert self._folder is not None
        return self._folder / f"{path.name}.state"


def _digest(path: Path) -> str:
    try:
        with open(path, "rb") as file:
            return hashlib.file_digest(file, "sha256").hexdigest()
    except FileNotFoundError:
        return _ABSENT
