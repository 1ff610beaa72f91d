"""Where model files are: files on disk first, the network only when it was allowed.

A model is named by a folder or by a Hugging Face repository id (`org/name`). Its files are looked for in

1. that folder, if the name is one;
2. the folders that a host named with `model_folders`;
3. `models_dir()/org--name` and `models_dir()/name`: plain folders that people may fill by hand;
4. the Hugging Face cache of this user, which other tools fill too.

Only `fetch_files(..., download=True)` asks the network, through `download`.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from functools import partial
from pathlib import Path

from ..errors import ModelNotFoundError
from ..paths import given_path, is_folder
from ..progress import Progress
from .cache import cached_snapshots
from .file_set import FileSet, Shards
from .folders import download_folder, folders_of, is_repo_id, local_folder, offer_of


def find_files(
    repo_id: str,
    *,
    required: Sequence[str] = (),
    any_of: Sequence[Sequence[str]] = (),
    shards: Sequence[Shards] = (),
    revision: str | None = None,
) -> Path | None:
    """The folder on this machine that holds all of a model's files, or None. Never asks the network.

    repo_id: a folder, or `org/name`.  required: file names that must all be there.  any_of: of each inner sequence
    one file must be there.  shards: indexes whose files must be there, too.  revision: branch, tag or commit, for the
    Hugging Face cache only (None: `main`, else the newest there is); files that people put into folders carry none.
    """
    wanted = FileSet(tuple(required), tuple(tuple(names) for names in any_of), shards=tuple(shards))
    for folder in _candidates(repo_id, revision):
        if not wanted.missing_in(folder, partial(_is_there, folder)):
            return folder
    return None


def fetch_files(
    repo_id: str,
    *,
    required: Sequence[str] = (),
    any_of: Sequence[Sequence[str]] = (),
    optional: Sequence[str] = (),
    shards: Sequence[Shards] = (),
    revision: str | None = None,
    download: bool = False,
    size: str | None = None,
    progress: Progress | None = None,
) -> Path:
    """The folder that holds all of a model's files, downloaded first if allowed.

    A download goes into the Hugging Face cache, or where the host wants it (`model_folders`).

    Arguments as in `find_files`; `optional` files are taken along by a download. download: may the network be used
    when files are missing.  size: how large the download would be, for the message ("1.9 GB").
    progress(bytes_done, bytes_total) is called several times a second and may raise to cancel; the total is 0 until the
    hub has answered. No file ever stands under its name unless it is whole; what has arrived by then stays, and the
    next attempt goes on from there.

    Raises ModelNotFoundError: the files are not here and may not, or cannot, be downloaded. It names every file
    wanted and the folder for them.
    """
    found = find_files(repo_id, required=required, any_of=any_of, shards=shards, revision=revision)
    if found is not None:
        return found
    wanted = FileSet(tuple(required), tuple(tuple(names) for names in any_of), tuple(optional), tuple(shards))
    if not is_repo_id(repo_id):
        raise ModelNotFoundError(_no_folder(repo_id, wanted))
    if not download:
        raise ModelNotFoundError(
            f"{repo_id}{_at(revision)} is not on this machine: {_put_by_hand(repo_id, wanted)}, or {offer_of(size)}"
        )
    from .download import DownloadFailed, download_files  # only now: the one module that asks the network

    try:
        return download_files(repo_id, wanted, revision=revision, folder=download_folder(repo_id), progress=progress)
    except DownloadFailed as error:
        raise ModelNotFoundError(
            f"{repo_id}{_at(revision)} could not be downloaded ({error}): try again, or {_put_by_hand(repo_id, wanted)}"
        ) from error


def find_file(repo_id: str, *, alternatives: Sequence[str], revision: str | None = None) -> Path | None:
    """The first of `alternatives` (file names, best first) that is on this machine, or None. Never asks the network."""
    folder = find_files(repo_id, any_of=(alternatives,), revision=revision)
    return None if folder is None else _first(folder, alternatives)


def fetch_file(
    repo_id: str,
    *,
    alternatives: Sequence[str],
    revision: str | None = None,
    download: bool = False,
    size: str | None = None,
    progress: Progress | None = None,
) -> Path:
    """One file of a model, for weights that come in several formats: the first of `alternatives` that exists.

    Arguments and errors as in `fetch_files`.
    """
    folder = fetch_files(
        repo_id, any_of=(alternatives,), revision=revision, download=download, size=size, progress=progress
    )
    return _first(folder, alternatives)


def _first(folder: Path, alternatives: Sequence[str]) -> Path:
    return next(folder / name for name in alternatives if _is_there(folder, name))


def _is_there(folder: Path, name: str) -> bool:
    """An empty file is what a failed copy leaves: it does not count."""
    try:
        return (folder / name).is_file() and (folder / name).stat().st_size > 0
    except PermissionError:  # a folder we may not enter: nobody knows what is missing
        raise
    except OSError:  # a broken link
        return False


def _candidates(repo_id: str, revision: str | None) -> Iterator[Path]:
    """Existing folders that may hold the model, best first."""
    folders = [given_path(repo_id).absolute()]
    if is_repo_id(repo_id):
        folders += folders_of(repo_id)
    yield from (folder for folder in dict.fromkeys(folders) if repo_id and is_folder(folder))
    if is_repo_id(repo_id):
        yield from cached_snapshots(repo_id, revision)


def _at(revision: str | None) -> str:
    return f" at {revision}" if revision else ""


def _put_by_hand(repo_id: str, wanted: FileSet) -> str:
    return f"put {_listed(wanted.missing(lambda _: False))} into {local_folder(repo_id)}"


def _no_folder(name: str, wanted: FileSet) -> str:
    folder = given_path(name)
    if is_folder(folder):
        return f"the folder {folder} lacks {_listed(wanted.missing_in(folder, partial(_is_there, folder)))}"
    return (
        f"there is no folder {folder}, and it is no repository id of the form org/name: "
        f"name a folder that holds {_listed(wanted.missing(lambda _: False))}"
    )


def _listed(names: Sequence[str]) -> str:
    return ", ".join(names[:-1]) + " and " + names[-1] if len(names) > 1 else "".join(names)
