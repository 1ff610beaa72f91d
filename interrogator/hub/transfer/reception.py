"""Bringing one file under its name.

Why not `hf_hub_download`: in newer releases (2.4, 1.33) it writes to a file with a random name and starts from zero
each time (huggingface_hub pull request 4228), and makes paths of headers that the server sends. Xet and hf_transfer
write chunks out of order, so neither the size of their file says how far it is nor can it be continued.
"""

from __future__ import annotations

import errno
import os
import time
from contextlib import suppress
from pathlib import Path
from typing import IO

from .answers import answer_to, client_errors
from .remote import RemoteFile, Transfer, TransferError, has_content, is_whole

_ATTEMPTS = 5  # that bring nothing, one after another
_LARGEST_UNKNOWN = 1_000_000_000  # bytes of a file whose size neither the hub nor the server says
_AGAIN = (408, 429)  # answers after which the same request may succeed
_DISK = {errno.ENOSPC, errno.EIO, errno.EROFS, errno.EFBIG, getattr(errno, "EDQUOT", errno.ENOSPC)}


def fetch(repo_id: str, cache: str, transfer: Transfer) -> None:
    """Download one file unless it is there: no name but `part` ever stands for half a file.

    Raises TransferError, and what the hub's client raises.
    """
    from huggingface_hub.file_download import are_symlinks_supported
    from huggingface_hub.utils import WeakFileLock

    path, part, lock = Path(transfer.path), Path(transfer.part), Path(transfer.lock)
    linked = transfer.blob is not None and are_symlinks_supported(cache)
    content = Path(transfer.blob) if linked and transfer.blob else path
    for file in (path, content, part, lock):
        file.parent.mkdir(parents=True, exist_ok=True)
    with WeakFileLock(lock):
        if not is_whole(content, transfer.file):
            _receive(repo_id, transfer.commit, transfer.file, part)
            os.replace(part, content)
        if transfer.blob is None:
            _remove_stale(part)
        if linked and not is_whole(path, transfer.file):
            path.unlink(missing_ok=True)  # what a failed copy left would be taken as it is
            os.symlink(os.path.relpath(content, path.parent), path)
    if transfer.blob is None:
        _tidy(lock)


def _receive(repo_id: str, commit: str, file: RemoteFile, part: Path) -> None:
    """Bring `part` to the whole content of a file. Damaged content is removed; what was continued, started again."""
    if part.is_symlink() or (part.exists() and not part.is_file()):  # nobody's beginning: it would be written through
        part.unlink()
    continued = part.is_file() and part.stat().st_size > 0
    _append(repo_id, commit, file, part)
    if has_content(part, file):
        return
    part.unlink()
    if not continued:
        raise TransferError(f"{file.name} came damaged")
    _receive(repo_id, commit, file, part)


def _append(repo_id: str, commit: str, file: RemoteFile, part: Path) -> None:
    """Append what is missing, going on where a connection breaks, until attempts bring nothing any more."""
    from huggingface_hub import hf_hub_url

    url = hf_hub_url(repo_id, file.name, revision=commit)
    fruitless = 0
    # Unbuffered: the size on disk is what the other process tells as progress.
    with part.open("ab", buffering=0) as out:
        if file.size and out.tell() > file.size:  # of something else
            out.truncate(0)
        while not file.size or os.fstat(out.fileno()).st_size < file.size:
            start = os.fstat(out.fileno()).st_size
            broken = _attempt(url, file, out, start)
            size = os.fstat(out.fileno()).st_size
            if broken is None and size >= file.size:
                break
            fruitless = 0 if size > start else fruitless + 1
            if fruitless >= _ATTEMPTS:
                raise broken or TransferError(f"the server sends only the beginning of {file.name}")
            if fruitless:
                time.sleep(1)
        os.fsync(out.fileno())


def _attempt(url: str, file: RemoteFile, out: IO[bytes], start: int) -> BaseException | None:
    """Take what one connection brings; the error that broke it, where another may not. Raises the others."""
    try:
        _take(url, file, out, start)
    except client_errors() as error:
        if not _may_pass(error):
            raise
        return error
    return None


def _take(url: str, file: RemoteFile, out: IO[bytes], start: int) -> None:
    """Append what the server sends from `start` on. Raises TransferError: that is more than the file has."""
    with answer_to(url, {"Range": f"bytes={start}-"} if start else {}) as (response, pieces):
        if start and response.status_code != 206:  # it cannot send the rest alone
            out.truncate(0)
            start = 0
        announced = response.headers.get("Content-Length", "")[:18]
        limit = file.size or (start + int(announced) if announced.isdecimal() else _LARGEST_UNKNOWN)
        for piece in pieces:
            start += len(piece)
            if start > limit:
                out.truncate(0)
                raise TransferError(f"the server sends more of {file.name} than the {limit} bytes that it has")
            out.write(piece)


def _may_pass(error: BaseException) -> bool:
    """Whether an error of a connection may be another the next time."""
    if isinstance(error, OSError) and error.errno in _DISK:
        return False
    response = getattr(error, "response", None)
    return response is None or response.status_code in _AGAIN


def _remove_stale(part: Path) -> None:
    """Remove what an earlier attempt left of the same file at another commit: `name.etag.incomplete`."""
    name = part.stem.rpartition(".")[0]
    for stale in part.parent.glob("*.incomplete"):
        if stale.stem.rpartition(".")[0] == name:
            stale.unlink(missing_ok=True)


def _tidy(lock: Path) -> None:
    """Leave in a plain folder nothing but the files of the model. Whoever waits for the lock finds the file whole."""
    with suppress(OSError):  # Windows: somebody waits for it
        lock.unlink(missing_ok=True)
    for folder in lock.parents[:3]:  # .cache/huggingface/download
        try:
            folder.rmdir()
        except OSError:  # not empty
            return
