"""Where model files are, and fetching those that are not here: see `files`, `places` and `download`."""

from __future__ import annotations

from .files import FileSet, fetch_file, fetch_files, find_file, find_files, is_repo_id, repo_cache
from .places import home, local_folder, model_folders, models_dir, offer_of

__all__ = [
    "FileSet",
    "fetch_file",
    "fetch_files",
    "find_file",
    "find_files",
    "home",
    "is_repo_id",
    "local_folder",
    "model_folders",
    "models_dir",
    "offer_of",
    "repo_cache",
]
