"""Where model files are, and fetching those that are not here: see `files`, `places` and `download`."""

from __future__ import annotations

from .files import FileSet, fetch_file, fetch_files, find_file, find_files, repo_cache
from .places import home, local_folder, model_folders, models_dir

__all__ = [
    "FileSet",
    "fetch_file",
    "fetch_files",
    "find_file",
    "find_files",
    "home",
    "local_folder",
    "model_folders",
    "models_dir",
    "repo_cache",
]
