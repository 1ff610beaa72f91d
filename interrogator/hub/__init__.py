"""Where model files are, and fetching those that are not here: see `files` and `download`."""

from __future__ import annotations

from .files import (
    FileSet,
    fetch_file,
    fetch_files,
    find_file,
    find_files,
    home,
    local_folder,
    models_dir,
    repo_cache,
)

__all__ = [
    "FileSet",
    "fetch_file",
    "fetch_files",
    "find_file",
    "find_files",
    "home",
    "local_folder",
    "models_dir",
    "repo_cache",
]
