"""The captions of pictures: a text file of the same name, a row of a metadata file, or the prompt in the picture."""

from __future__ import annotations

import os
from pathlib import Path

from ..dataset.sources import open_source
from ..dataset.sources.captions import caption_text
from ..dataset.sources.imagefolder import METADATA_NAMES
from ..metadata import true_prompt
from .inputs import STDIN

_SUFFIXES = (".txt", ".caption")
# How many folders above a picture may hold its metadata file.
_LEVELS = 4


def caption_beside(path: Path) -> str | None:
    """The text of the `.txt` or `.caption` beside a picture; None if there is no such file."""
    found = next((each for suffix in _SUFFIXES if os.path.isfile(each := path.with_suffix(suffix))), None)
    return None if found is None else caption_text(found.read_bytes())


def caption_of(name: str) -> str | None:
    """The caption beside a picture, else the prompt in its metadata; None if there is neither, or it is empty."""
    if name == STDIN:
        return None
    beside = " ".join((caption_beside(Path(name)) or "").split())
    return beside or true_prompt(name)


class ImageCaptions:
    """Finds captions; the rows of a metadata file are read once."""

    def __init__(self) -> None:
        self._rows: dict[Path, dict[Path, str]] = {}

    def of(self, name: str) -> str | None:
        """The caption of a picture by its path: the `.txt` or `.caption` beside it, else what a metadata file says.

        The nearest one counts. None if there is no caption. Raises RequestError: a metadata file cannot be read.
        """
        if name == STDIN:
            return None
        path = Path(os.path.abspath(name))
        beside = caption_beside(path)
        if beside is not None:
            return beside
        return next((rows[path] for folder in path.parents[:_LEVELS] if path in (rows := self._rows_of(folder))), None)

    def _rows_of(self, folder: Path) -> dict[Path, str]:
        if folder not in self._rows:
            has_metadata = any(os.path.isfile(folder / name) for name in METADATA_NAMES)
            items = open_source(folder, kind="imagefolder").items() if has_metadata else ()
            self._rows[folder] = {folder / item.key: item.caption for item in items if item.caption is not None}
        return self._rows[folder]
