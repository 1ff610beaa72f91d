"""Folders of pictures that nodes may read and write: in ComfyUI's input and output folders, or linked into them."""

from __future__ import annotations

import os
from pathlib import Path

from ..interrogator.dataset.state.run_folder import HOME
from . import host

PLACES = ("input", "output")
"""ComfyUI's folders that hold pictures."""


def dataset_folder(place: str, folder: str, may_be_root: bool = False) -> Path:
    """The folder of this name inside ComfyUI's input or output folder; its own path where it is linked into that.

    A link that lies directly in ComfyUI's folder is the user's and may lead anywhere; any other that leads out may have
    come with the pictures, and is refused.

    Args:
        may_be_root: take no name for ComfyUI's folder itself.

    Raises:
        ValueError: it does not exist, or is outside.
    """
    root = host.dataset_root(place).resolve()
    name = folder.strip()
    try:
        parts = _parts(root, name)
        if parts is None or not parts and not may_be_root:
            raise ValueError(f"{name!r} is not a folder inside {root}: name the folder of pictures.")
        path = _followed(root, parts)
        is_there = path.is_dir()
    except OSError:  # no name that a folder can have
        is_there = False
    if not is_there:
        raise ValueError(f"There is no folder {name[:200]!r} in {root}: put the pictures there.")
    return path


def check_state(folder: Path) -> None:
    """Look for links among the run's own files, through which it would write elsewhere. Raises ValueError."""
    home = folder / HOME
    found = [home, *(Path(where, name) for where, names, files in os.walk(home) for name in (*names, *files))]
    for path in found:
        if path.is_symlink():
            raise ValueError(f"{path} is a link, and a run would write through it: remove it.")


def _parts(root: Path, name: str) -> tuple[str, ...] | None:
    """The folders from the root down to one of this name; None if it is not inside."""
    if "\0" in name:
        return ("\ufffd",)  # which nothing is called
    inside = os.path.relpath(os.path.normpath(os.path.join(root, name)), root)
    parts = Path(inside).parts
    return None if os.pardir in parts or Path(inside).is_absolute() else parts


def _followed(root: Path, parts: tuple[str, ...]) -> Path:
    """The folder behind the links on the way. Raises ValueError: one leads out, and does not lie in the root."""
    home = path = root
    for depth, part in enumerate(parts):
        link, path = path / part, (path / part).resolve()
        if not path.is_relative_to(home):
            if depth:
                raise ValueError(f"{link} is a link that leads out of {home}: link that folder into {root} itself.")
            home = path
    return path
