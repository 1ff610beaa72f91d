"""The Hugging Face cache of this user: https://huggingface.co/docs/huggingface_hub/guides/manage-cache"""

from __future__ import annotations

import re
from collections.abc import Iterator
from pathlib import Path

from ..files import write_whole
from .transfer.listing import is_inside

_COMMIT = re.compile(r"[0-9a-f]{40}")


def cache_root() -> Path:
    """The folder that holds the cache (honours HF_HOME, HF_HUB_CACHE). It may not exist."""
    from huggingface_hub import constants

    return Path(constants.HF_HUB_CACHE)


def repo_cache(repo_id: str) -> Path:
    """The folder of the cache that holds a repository. It may not exist."""
    return cache_root() / f"models--{repo_id.replace('/', '--')}"


def cached_snapshots(repo_id: str, revision: str | None) -> Iterator[Path]:
    """Folders of the cache with this revision; for None `main`, then whatever there is, newest first.

    Reads the documented layout (`refs/<revision>` holds a commit, `snapshots/<commit>/` the files) because
    `snapshot_download(local_files_only=True)` judges completeness by all files of a repository, not by those we need.
    """
    base = repo_cache(repo_id)
    commit = revision or "main"
    if not is_inside(commit):  # nor would it be a branch, a tag or a commit
        return
    try:
        noted = (base / "refs" / commit).read_text(encoding="utf-8").strip()
        commit = noted if _COMMIT.fullmatch(noted) else commit
    except PermissionError:
        raise
    except (OSError, UnicodeDecodeError):  # no such reference: `revision` may itself be a commit
        pass
    exact = base / "snapshots" / commit
    if exact.is_dir():
        yield exact
    if revision is None and (base / "snapshots").is_dir():
        others = [folder for folder in (base / "snapshots").iterdir() if folder.is_dir() and folder != exact]
        yield from sorted(others, key=lambda folder: (folder.stat().st_mtime, folder.name), reverse=True)


def write_reference(repo_id: str, revision: str, commit: str) -> None:
    """Note in the cache which commit a branch or tag is; a commit needs no note."""
    if revision == commit or not is_inside(revision):
        return
    reference = repo_cache(repo_id) / "refs" / revision
    reference.parent.mkdir(parents=True, exist_ok=True)
    write_whole(reference, commit.encode())
