"""Download chosen files of a Hugging Face repository: into the cache that others share, or into a plain folder.

Why not `hf_hub_download`: it cannot be cancelled (its progress hook differs from release to release and does not
exist before 1.0) and a download that goes on after "cancel" is worse than a little code. Addresses, tokens,
sessions, proxies, HF_ENDPOINT and HF_HUB_OFFLINE are still those of `huggingface_hub`. Where files land is up to
`targets`.
"""

from __future__ import annotations

import hashlib
import logging
import os
import shutil
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from .files import FileSet
from .targets import Target

logger = logging.getLogger("interrogator")

_POLL_SECONDS = 0.2  # how often progress is told, so how fast a cancel works
_CHUNK = 1 << 16  # bytes; what is lost when a connection breaks
_ATTEMPTS = 5  # a connection that brings nothing this many times in a row is given up


class DownloadFailed(Exception):
    """Why a download did not work, as half a sentence for a person."""


class _Cancelled(Exception):
    """Raised in the worker only, after the caller has left."""


@dataclass(frozen=True)
class _RemoteFile:
    name: str  # relative to the repository
    size: int  # bytes
    sha256: str | None  # only large (LFS) files have one
    url: str


@dataclass
class _Job:
    """What the worker and the thread that waits for it share."""

    cancelled: threading.Event = field(default_factory=threading.Event)
    finished: threading.Event = field(default_factory=threading.Event)
    done: int = 0  # bytes
    total: int = 0  # bytes; 0 until the hub has told
    folder: Path | None = None  # where the files go
    part: Path | None = None  # the file being written
    result: Path | None = None
    error: BaseException | None = None


def download_files(
    repo_id: str,
    wanted: FileSet,
    revision: str | None,
    target: Target,
    progress: Callable[[int, int], None] | None,
) -> Path:
    """Download what `wanted` picks out of a repository; returns the folder of `target` with it.

    progress(bytes_done, bytes_total) is called in the calling thread. Raises DownloadFailed, and whatever `progress`
    raises. A file appears under its name only when it is whole; files that are whole stay for the next attempt.
    """
    job = _Job()

    def work() -> None:
        try:
            job.result = _download_all(repo_id, wanted, revision, target, job)
        except BaseException as error:  # noqa: BLE001  handed to the waiting thread, which raises it
            job.error = error
            _tidy(job)
        finally:
            job.finished.set()

    # A thread of its own, so that a network that stalls in the middle of a read cannot delay a cancel.
    worker = threading.Thread(target=work, name=f"download {repo_id}", daemon=True)
    worker.start()
    try:
        while not job.finished.wait(_POLL_SECONDS):
            if progress is not None and job.total:
                progress(job.done, job.total)
        if progress is not None and job.error is None:
            progress(job.total, job.total)
    finally:
        job.cancelled.set()
        worker.join(_POLL_SECONDS)
        if worker.is_alive():
            _tidy(job)  # the worker does it too, but a program that ends now ends the worker before that
    if isinstance(job.error, _network_errors()):
        raise DownloadFailed(_reason(job.error)) from job.error
    if job.error is not None:
        raise job.error
    assert job.result is not None
    return job.result


def _download_all(repo_id: str, wanted: FileSet, revision: str | None, target: Target, job: _Job) -> Path:
    commit, files = _list_remote(repo_id, wanted, revision)
    folder = target.folder(commit)
    files = [file for file in files if not _is_whole(folder / file.name, file)]
    job.total = sum(file.size for file in files)
    # At a level that shows without any logging set up: nobody should have to wonder what fills the line and the disk.
    logger.warning(
        "downloading %s (%s) from %s to %s",
        ", ".join(file.name for file in files) or "nothing new",
        human_size(job.total),
        repo_id,
        folder,
    )
    job.folder = folder
    folder.mkdir(parents=True, exist_ok=True)
    free = shutil.disk_usage(folder).free
    if job.total > free:
        raise DownloadFailed(f"it takes {human_size(job.total)} and {folder} has {human_size(free)} free")
    for file in reversed(files):  # the optional ones first: a folder is taken for whole once it lacks no other
        _download_one(file, folder / file.name, target.part(folder / file.name), job)
    target.finish(revision or "main", commit)
    return folder


def _list_remote(repo_id: str, wanted: FileSet, revision: str | None) -> tuple[str, list[_RemoteFile]]:
    """The commit that `revision` is now, and the files of it that we want."""
    from huggingface_hub import HfApi, constants, hf_hub_url

    info = HfApi().model_info(
        repo_id, revision=revision, files_metadata=True, timeout=float(constants.HF_HUB_DOWNLOAD_TIMEOUT)
    )
    known = {sibling.rfilename: sibling for sibling in info.siblings or []}
    missing = wanted.missing(lambda name: name in known)
    if missing:
        raise DownloadFailed(f"the repository has no {', no '.join(missing)}")
    if not info.sha:
        raise DownloadFailed("the hub did not name a commit")
    files = []
    for name in wanted.pick(set(known)):
        lfs = known[name].lfs
        url = hf_hub_url(repo_id, name, revision=info.sha)
        files.append(_RemoteFile(name, known[name].size or 0, lfs.sha256 if lfs else None, url))
    return info.sha, files


def _download_one(file: _RemoteFile, path: Path, part: Path, job: _Job) -> None:
    """Write to `part`, check, then rename to `path`: the name never stands for half a file."""
    if job.cancelled.is_set():
        raise _Cancelled
    part.parent.mkdir(parents=True, exist_ok=True)
    path.parent.mkdir(parents=True, exist_ok=True)
    job.part = part
    before = job.done
    digest = hashlib.sha256()
    try:
        with part.open("wb") as out:
            for chunk in _chunks_to_the_end(file.url, job.cancelled):
                if job.cancelled.is_set():
                    raise _Cancelled
                out.write(chunk)
                digest.update(chunk)
                job.done = before + out.tell()
            size = out.tell()
            out.flush()
            os.fsync(out.fileno())
        if size != file.size and file.size:
            raise DownloadFailed(f"{file.name} came with {size} bytes, not {file.size}")
        if file.sha256 and digest.hexdigest() != file.sha256:
            raise DownloadFailed(f"{file.name} came damaged")
        if job.cancelled.is_set():
            raise _Cancelled
        os.replace(part, path)
    finally:
        _remove(part)


def _chunks_to_the_end(url: str, cancelled: threading.Event) -> Iterator[bytes]:
    """The bytes of a file; a connection that breaks on the way is taken up again where it broke."""
    at = failures = 0
    while True:
        start = at
        try:
            for chunk in _chunks(url, start):
                at += len(chunk)
                yield chunk
            return
        except _network_errors():
            failures = failures + 1 if at == start else 0
            if at == 0 or failures >= _ATTEMPTS or cancelled.is_set():
                raise
            time.sleep(min(2.0**failures, 5.0))


def _chunks(url: str, start: int) -> Iterator[bytes]:
    """The bytes of a file from `start` on. Works with both HTTP clients that `huggingface_hub` has had."""
    from huggingface_hub import constants
    from huggingface_hub.utils import build_hf_headers, hf_raise_for_status

    # Not compressed, so that sizes and ranges count the bytes of the file.
    headers = {**build_hf_headers(), "Accept-Encoding": "identity"}
    if start:
        headers["Range"] = f"bytes={start}-"
    with _open(url, headers, float(constants.HF_HUB_DOWNLOAD_TIMEOUT)) as response:
        hf_raise_for_status(response)
        if start and response.status_code != 206:
            raise DownloadFailed("the connection broke and the server cannot continue a download")
        # requests has iter_content, httpx has iter_bytes.
        read = response.iter_content if hasattr(response, "iter_content") else response.iter_bytes
        yield from read(chunk_size=_CHUNK)


@contextmanager
def _open(url: str, headers: dict[str, str], timeout: float) -> Iterator[Any]:
    from huggingface_hub.utils import get_session

    session: Any = get_session()  # requests.Session before huggingface_hub 1.0, httpx.Client from there on
    if callable(getattr(session, "stream", None)):  # requests has an attribute of this name that is a switch
        with session.stream("GET", url, headers=headers, timeout=timeout) as response:
            yield response
    else:
        with session.get(url, headers=headers, timeout=timeout, stream=True) as response:
            yield response


def _network_errors() -> tuple[type[BaseException], ...]:
    """What the hub's client raises: OSError (requests, DNS, sockets, disk) and the base class of httpx's errors."""
    from huggingface_hub.errors import HfHubHTTPError, HFValidationError

    # httpx errors are no OSErrors; the client's package has had several names, its base class is always this one.
    return (OSError, HFValidationError, *HfHubHTTPError.__bases__)


def _reason(error: BaseException) -> str:
    from huggingface_hub.errors import GatedRepoError, RepositoryNotFoundError, RevisionNotFoundError

    if isinstance(error, GatedRepoError):
        return "its page on the hub asks you to accept its terms first"
    if isinstance(error, RepositoryNotFoundError):
        return "the hub has no such repository, or it is private"
    if isinstance(error, RevisionNotFoundError):
        return "the hub has no such revision of it"
    lines = str(error).strip().splitlines()
    return f"{type(error).__name__}: {lines[0]}" if lines else type(error).__name__


def _is_whole(path: Path, file: _RemoteFile) -> bool:
    return path.is_file() and path.stat().st_size == file.size


def _tidy(job: _Job) -> None:
    """Leave no half-written file behind, and no folder without a file in it."""
    if job.part is not None:
        _remove(job.part)
    if job.folder is not None:
        with suppress(OSError):  # there are files in it, or it is not there
            job.folder.rmdir()


def _remove(path: Path) -> None:
    try:
        path.unlink(missing_ok=True)
    except OSError:  # Windows: still open in the worker, which removes it in a moment
        logger.debug("cannot remove %s yet", path)


def human_size(count: int) -> str:
    """Bytes for people: `1.9 GB`, `24.1 MB`, `3 kB`."""
    for unit, factor, digits in (("GB", 1e9, 1), ("MB", 1e6, 1), ("kB", 1e3, 0)):
        if count >= factor:
            return f"{count / factor:.{digits}f} {unit}"
    return f"{count} bytes"
