"""The process that downloads: started by `download` as a script, so that a cancel can kill it at any moment.

It runs by its path and imports nothing but the standard library and `huggingface_hub`: a host such as ComfyUI loads
our package under a name of its own, and this process should start fast. Lines of JSON go both ways:

    in    {"sys_path", "repo_id", "revision", "cache"}
    out   {"commit", "files": [RemoteFile]}              what the repository holds
    in    [Transfer]                                     what to download, in this order
    out   {"arrived": name}                              for each of them
    out   {"finished": true}

or, at any time, out {"error": "half a sentence for a person"}. It ends when its stdin closes, so it never outlives the
process that started it.

Why `http_get` and not `hf_hub_download` for the bytes: in newer releases (2.4, 1.33) `hf_hub_download` writes to a file
with a random name and starts from zero each time (huggingface_hub pull request 4228). `http_get` appends to a file of
our choice, with the client's own retries. Xet and hf_transfer write chunks out of order, so neither the size of their
file says how far it is nor can it be continued; `download` switches both off in this process.
"""

from __future__ import annotations

import errno
import hashlib
import json
import os
import queue
import signal
import sys
import threading
from contextlib import suppress
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

_CHUNK = 1 << 16  # bytes written at once; what is lost when the process is killed
_LOGIN = "set HF_TOKEN or run `hf auth login`"


@dataclass(frozen=True)
class RemoteFile:
    """A file of a repository as the hub lists it."""

    name: str  # relative to the repository, with `/`
    size: int  # bytes; 0 where the hub does not say
    sha256: str | None  # of large (LFS, Xet) files
    git_sha1: str | None  # of the git blob: for a large file that is a pointer, not the file

    @property
    def etag(self) -> str | None:
        """What the hub and its cache call this content."""
        return self.sha256 or self.git_sha1


@dataclass(frozen=True)
class Transfer:
    """A file to download and where it goes. All paths are absolute."""

    file: RemoteFile
    commit: str
    path: str  # its final name
    part: str  # what there is of it so far, on the same disk; a later attempt goes on from there
    lock: str  # held while it is written
    blob: str | None  # its content in the Hugging Face cache, to which `path` becomes a link where links work


class TransferError(Exception):
    """Why a download did not work, as half a sentence for a person."""


def is_whole(path: Path, file: RemoteFile) -> bool:
    """Whether `path` holds this file, judged by its size and, where that is quick, its content."""
    try:
        size = path.stat().st_size
        if size != file.size if file.size else size == 0:
            return False
        return bool(file.sha256) or _has_content(path, file)
    except OSError:
        return False


def _has_content(path: Path, file: RemoteFile) -> bool:
    """Whether size and checksum are those that the hub names."""
    size = path.stat().st_size
    if file.size and size != file.size:
        return False
    with path.open("rb") as content:
        if file.sha256:
            return hashlib.file_digest(content, "sha256").hexdigest() == file.sha256
        if file.git_sha1:
            # https://git-scm.com/book/en/v2/Git-Internals-Git-Objects
            return hashlib.sha1(b"blob %d\0" % size + content.read()).hexdigest() == file.git_sha1
    return True


def list_files(repo_id: str, revision: str | None) -> tuple[str, list[RemoteFile]]:
    """The commit that `revision` is now (None: `main`), and its files."""
    from huggingface_hub import HfApi, constants

    timeout = float(constants.HF_HUB_DOWNLOAD_TIMEOUT)
    info = HfApi().model_info(repo_id, revision=revision, files_metadata=True, timeout=timeout)
    if not info.sha:
        raise TransferError(f"{constants.ENDPOINT} names no commit of it")
    files = []
    for sibling in info.siblings or []:
        sha256 = sibling.lfs.sha256 if sibling.lfs else None
        files.append(RemoteFile(sibling.rfilename, sibling.size or 0, sha256, sibling.blob_id))
    return info.sha, files


def fetch(repo_id: str, cache: str, transfer: Transfer) -> None:
    """Download one file unless it is there: no name but `part` ever stands for half a file."""
    from huggingface_hub import hf_hub_download
    from huggingface_hub.file_download import are_symlinks_supported
    from huggingface_hub.utils import WeakFileLock

    path, part, lock = Path(transfer.path), Path(transfer.part), Path(transfer.lock)
    linked = transfer.blob is not None and are_symlinks_supported(cache)
    content = Path(transfer.blob) if linked and transfer.blob else path
    for file in (content, part, lock):
        file.parent.mkdir(parents=True, exist_ok=True)
    with WeakFileLock(lock):
        if not is_whole(content, transfer.file):
            _receive(repo_id, transfer.commit, transfer.file, part)
            os.replace(part, content)
        if transfer.blob is None:
            _remove_stale(part)
    if linked:
        if not is_whole(path, transfer.file):  # what a failed copy left would be taken as it is
            path.unlink(missing_ok=True)
        # It finds the content in the cache and makes the link.
        hf_hub_download(repo_id, transfer.file.name, revision=transfer.commit, cache_dir=cache)
    if transfer.blob is None:
        _tidy(lock)


def _receive(repo_id: str, commit: str, file: RemoteFile, part: Path) -> None:
    """Bring `part` to the whole content of a file. Damaged content is removed; what was continued, started again."""
    continued = part.is_file() and part.stat().st_size > 0
    _append(repo_id, commit, file, part)
    if _has_content(part, file):
        return
    part.unlink()
    if not continued:
        raise TransferError(f"{file.name} came damaged")
    _receive(repo_id, commit, file, part)


def _append(repo_id: str, commit: str, file: RemoteFile, part: Path) -> None:
    from huggingface_hub import hf_hub_url
    from huggingface_hub.file_download import http_get
    from huggingface_hub.utils import build_hf_headers

    url = hf_hub_url(repo_id, file.name, revision=commit)
    # Not compressed, so that sizes and ranges count the bytes of the file.
    headers = {**build_hf_headers(), "Accept-Encoding": "identity"}
    while True:
        # Unbuffered: the size on disk is what the other process tells as progress.
        with part.open("ab", buffering=0) as out:
            start = out.tell()
            if file.size and start > file.size:  # a server without ranges sent all of it after what we had
                out.truncate(0)
                start = 0
            if file.size and start == file.size:
                return
            try:
                http_get(url, out, resume_size=start, headers=headers, expected_size=file.size or None)
                os.fsync(out.fileno())
                return
            except _client_errors():
                # http_get has tried several times, but not after every way in which a connection can break.
                if os.fstat(out.fileno()).st_size <= start:
                    raise


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


def _client_errors() -> tuple[type[BaseException], ...]:
    """What the hub's client raises: OSError (requests, DNS, sockets, disk) and the base class of httpx's errors."""
    from huggingface_hub.errors import HfHubHTTPError

    # httpx errors are no OSErrors; the client's package has had several names, its base class is always this one.
    return (OSError, *HfHubHTTPError.__bases__)


def explain(error: BaseException, repo_id: str) -> str:
    """Why it did not work and what to do, as half a sentence for a person."""
    from huggingface_hub import constants
    from huggingface_hub.errors import HfHubHTTPError, LocalEntryNotFoundError, OfflineModeIsEnabled

    while isinstance(error, LocalEntryNotFoundError) and error.__cause__ is not None:  # a frame around the reason
        error = error.__cause__
    lines = str(error).strip().splitlines()
    reason = f"{type(error).__name__}: {lines[0]}" if lines else type(error).__name__
    if isinstance(error, OfflineModeIsEnabled):
        return "offline mode is on: unset HF_HUB_OFFLINE"
    if isinstance(error, HfHubHTTPError) and error.response is not None:
        return _explain_answer(error, repo_id) or reason
    if isinstance(error, OSError) and error.errno in (errno.ENOSPC, getattr(errno, "EDQUOT", errno.ENOSPC)):
        return "the disk is full: free some space; what has arrived is kept"
    if isinstance(error, OSError) and error.filename:
        return f"cannot write {error.filename}: {error.strerror}"
    if "CERTIFICATE_VERIFY_FAILED" in str(error):
        return (
            f"the certificate of {constants.ENDPOINT} is not trusted: if a proxy inspects the traffic, name its"
            " certificate in SSL_CERT_FILE (REQUESTS_CA_BUNDLE before huggingface_hub 1)"
        )
    if any(base.__name__ == "ProxyError" for base in type(error).__mro__):
        return f"the proxy does not answer: check HTTPS_PROXY ({reason})"
    if isinstance(error, _client_errors()):
        return f"no connection to {constants.ENDPOINT}: check the network, or HTTPS_PROXY behind a proxy ({reason})"
    return reason


def _explain_answer(error: Any, repo_id: str) -> str | None:
    """What an HTTP error of the hub means; None where its number says no more than its text."""
    from huggingface_hub import constants, get_token
    from huggingface_hub.errors import (
        EntryNotFoundError,
        GatedRepoError,
        RepositoryNotFoundError,
        RevisionNotFoundError,
    )

    status = error.response.status_code
    if error.response.headers.get("X-Error-Message", "").startswith("Invalid credentials"):
        return f"the hub refuses the access token ({status}): {_LOGIN} with a valid one"
    if isinstance(error, GatedRepoError):
        terms = f"it is gated ({status}): accept its terms at {constants.ENDPOINT}/{repo_id}"
        return f"{terms} with the account of your access token" if get_token() else f"{terms}, then {_LOGIN}"
    if isinstance(error, RepositoryNotFoundError) or status == 401:  # which of the two, the hub does not tell strangers
        who = "your access token may not read it" if get_token() else f"{_LOGIN} if it is private"
        return f"the hub shows no such repository ({status}): check the name; {who}"
    if isinstance(error, RevisionNotFoundError):
        return "it has no such revision: name a branch, a tag or a commit"
    if isinstance(error, EntryNotFoundError):
        return f"a file that the hub lists is not there ({status}): {error.response.url}"
    if status == 403:
        return "the hub forbids it (403): your access token needs the permission to read this repository"
    if status == 429:
        return f"too many requests (429): try again in a few minutes, or {_LOGIN}"
    if status >= 500:
        return f"the hub has trouble ({status}): try again later"
    return None


def _lines_until_it_closes() -> queue.SimpleQueue[bytes]:
    """Lines of stdin. When it closes, whoever started us is gone or has cancelled: the process ends at once."""
    lines: queue.SimpleQueue[bytes] = queue.SimpleQueue()

    def read() -> None:
        for line in sys.stdin.buffer:
            lines.put(line)
        os._exit(1)

    threading.Thread(target=read, daemon=True).start()
    return lines


def main() -> None:
    """Serve one download."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # Ctrl+C goes to all of a terminal; who started us decides
    answers, sys.stdout = sys.stdout, sys.stderr  # libraries may print

    def answer(content: dict[str, Any]) -> None:
        answers.write(json.dumps(content) + "\n")
        answers.flush()

    lines = _lines_until_it_closes()
    order = json.loads(lines.get())
    sys.path[:] = order["sys_path"]  # a host may have extended it while it ran
    from huggingface_hub import constants
    from huggingface_hub.errors import HFValidationError

    constants.DOWNLOAD_CHUNK_SIZE = _CHUNK  # 10 MB, which a slow line takes long for
    repo_id = order["repo_id"]
    try:
        commit, files = list_files(repo_id, order["revision"])
        answer({"commit": commit, "files": [asdict(file) for file in files]})
        for row in json.loads(lines.get()):
            transfer = Transfer(**{**row, "file": RemoteFile(**row["file"])})
            fetch(repo_id, order["cache"], transfer)
            answer({"arrived": transfer.file.name})
        answer({"finished": True})
    except TransferError as error:
        answer({"error": str(error)})
    except (HFValidationError, *_client_errors()) as error:
        answer({"error": explain(error, repo_id)})
    os._exit(0)  # not the usual way out: the thread above is still reading


if __name__ == "__main__":
    main()
