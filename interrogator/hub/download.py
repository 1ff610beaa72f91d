"""Download chosen files of a Hugging Face repository: into the cache that others share, or into a plain folder.

A process of its own (`transfer`) asks the hub and downloads; this side decides what is wanted and where it goes, tells
progress from what is on disk, and kills the process to cancel. What has arrived stays, and the next attempt goes on
from there.
"""

from __future__ import annotations

import json
import logging
import os
import queue
import shutil
import subprocess
import sys
import tempfile
import threading
from collections.abc import Callable
from contextlib import suppress
from dataclasses import asdict
from pathlib import Path
from types import TracebackType
from typing import Any

from ..progress import Progress
from .cache import cache_root, repo_cache, write_reference
from .file_set import FileSet
from .transfer.remote import RemoteFile, Transfer, is_whole

logger = logging.getLogger("interrogator")

_POLL_SECONDS = 0.2  # how often progress is told, so how fast a cancel works
_START = "import sys; sys.path.insert(0, sys.argv[1]); from transfer.process import main; main()"
# Neither says how far it is by the size of its file, nor goes on where it was killed.
_SETTINGS = {"HF_HUB_DISABLE_XET": "1", "HF_HUB_ENABLE_HF_TRANSFER": "0", "HF_HUB_DISABLE_PROGRESS_BARS": "1"}


class DownloadFailed(Exception):
    """Why a download did not work, as half a sentence for a person."""


def download_files(
    repo_id: str,
    wanted: FileSet,
    *,
    revision: str | None = None,
    folder: Path | None = None,
    progress: Progress | None = None,
) -> Path:
    """Download what `wanted` picks out of a repository; returns the folder with it.

    folder: a plain folder to download to; None for the Hugging Face cache.  progress(bytes_done, bytes_total) is
    called in the calling thread; the total is 0 until the hub has answered.

    Raises DownloadFailed, and whatever `progress` raises. A file appears under its name only when it is whole; what
    has arrived stays for the next attempt.
    """
    with _TransferProcess(repo_id, revision) as process:
        listing = process.wait(lambda: progress and progress(0, 0))
        commit = listing["commit"]
        files = _choose([RemoteFile(**row) for row in listing["files"]], wanted)
        target = folder or repo_cache(repo_id) / "snapshots" / commit
        transfers = [
            _in_folder(file, commit, folder) if folder else _in_cache(file, commit, repo_cache(repo_id))
            for file in files
            if not is_whole(target / file.name, file)
        ]
        tally = _Tally(transfers)
        _announce(repo_id, target, transfers, tally)
        _check_space(target, tally.total - tally.done())
        process.send([asdict(transfer) for transfer in transfers])
        while "finished" not in (message := process.wait(lambda: progress and progress(tally.done(), tally.total))):
            tally.arrived.add(message["arrived"])
    if folder is None:
        write_reference(repo_id, revision or "main", commit)
    if progress is not None:
        progress(tally.total, tally.total)
    return target


class _TransferProcess:
    """The process that asks the hub and downloads, while the block runs; afterwards it is gone."""

    def __init__(self, repo_id: str, revision: str | None) -> None:
        self._errors = tempfile.TemporaryFile()
        try:
            self._process = subprocess.Popen(
                [
                    sys.executable,
                    "-P",
                    "-c",
                    _START,
                    str(Path(__file__).parent),
                ],  # -P: the folder at hand hides no modules
                stdin=subprocess.PIPE,
                stdout=subprocess.PIPE,
                stderr=self._errors,
                env={**os.environ, **_SETTINGS},
                creationflags=getattr(subprocess, "CREATE_NO_WINDOW", 0),  # Windows: no console window pops up
            )
        except OSError as error:
            self._errors.close()
            raise DownloadFailed(f"Python ({sys.executable}) cannot be started: {error}") from error
        self._messages: queue.SimpleQueue[dict[str, Any] | None] = queue.SimpleQueue()
        self._reader = threading.Thread(target=self._read, name=f"download {repo_id}", daemon=True)
        self._reader.start()
        # The paths of this process, and its cache: a host may have changed either while it ran.
        paths = [str(path) for path in sys.path]
        self.send({"sys_path": paths, "repo_id": repo_id, "revision": revision, "cache": str(cache_root())})

    def __enter__(self) -> _TransferProcess:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        assert self._process.stdin is not None and self._process.stdout is not None
        self._process.terminate()
        try:
            self._process.wait(_POLL_SECONDS)
        except subprocess.TimeoutExpired:
            self._process.kill()
            self._process.wait()
        self._reader.join()
        with suppress(OSError):  # something unsent, and nobody there to read it
            self._process.stdin.close()
        self._process.stdout.close()
        self._errors.close()

    def send(self, message: Any) -> None:
        """Write one line to the process."""
        assert self._process.stdin is not None
        with suppress(OSError):  # it has ended; `wait` says why
            self._process.stdin.write(json.dumps(message).encode() + b"\n")
            self._process.stdin.flush()

    def wait(self, meanwhile: Callable[[], object]) -> dict[str, Any]:
        """The next message of the process; `meanwhile` is called several times a second and may raise."""
        while True:
            try:
                message = self._messages.get(timeout=_POLL_SECONDS)
            except queue.Empty:
                meanwhile()
                continue
            if message is None:
                raise DownloadFailed(f"the process that downloads has died: {self._last_words()}")
            if "error" in message:
                raise DownloadFailed(message["error"])
            return message

    def _read(self) -> None:
        assert self._process.stdout is not None
        for line in self._process.stdout:
            self._messages.put(json.loads(line))
        self._messages.put(None)

    def _last_words(self) -> str:
        self._errors.seek(0)
        lines = self._errors.read().decode(errors="replace").strip().splitlines()
        return lines[-1] if lines else f"exit status {self._process.wait()}"


class _Tally:
    """How much of some transfers is on disk."""

    def __init__(self, transfers: list[Transfer]) -> None:
        self.total = sum(transfer.file.size for transfer in transfers)  # bytes
        self.arrived: set[str] = set()  # names
        self._transfers = transfers
        self._most = 0

    def done(self) -> int:
        """Bytes on disk; never fewer than before, though a file has no name while it is moved."""
        self._most = max(self._most, sum(map(self._of, self._transfers)))
        return self._most

    def _of(self, transfer: Transfer) -> int:
        size = transfer.file.size
        if transfer.file.name in self.arrived or (transfer.blob and Path(transfer.blob).is_file()):
            return size
        try:
            return min(size, Path(transfer.part).stat().st_size)
        except OSError:
            return 0


def _choose(known: list[RemoteFile], wanted: FileSet) -> list[RemoteFile]:
    """The files to download, in order: a folder is taken for a model once no file is missing, so weights come last."""
    by_name = {file.name: file for file in known}
    missing = wanted.missing(lambda name: name in by_name)
    if missing:
        raise DownloadFailed(f"the repository has no {', no '.join(missing)}")
    needed = set(FileSet(wanted.required, wanted.any_of, shards=wanted.shards).pick(set(by_name)))
    chosen = [by_name[name] for name in wanted.pick(set(by_name))]
    return sorted(chosen, key=lambda file: (file.name in needed, file.size))


def _in_cache(file: RemoteFile, commit: str, base: Path) -> Transfer:
    """A file of the Hugging Face cache, with the names that `huggingface_hub` gives."""
    etag = file.etag or f"{commit}-{file.name.replace('/', '-')}"
    return Transfer(
        file=file,
        commit=commit,
        path=str(base / "snapshots" / commit / file.name),
        part=str(base / "blobs" / f"{etag}.incomplete"),
        lock=str(base.parent / ".locks" / base.name / f"{etag}.lock"),
        blob=str(base / "blobs" / etag) if file.etag else None,
    )


def _in_folder(file: RemoteFile, commit: str, folder: Path) -> Transfer:
    """A file of a plain folder. What is unfinished lies where `huggingface_hub` keeps it with `local_dir`."""
    work = folder / ".cache" / "huggingface" / "download"
    name = file.name.replace("/", "--")
    return Transfer(
        file=file,
        commit=commit,
        path=str(folder / file.name),
        part=str(work / f"{name}.{(file.etag or commit)[:16]}.incomplete"),
        lock=str(work / f"{name}.lock"),
        blob=None,
    )


def _announce(repo_id: str, folder: Path, transfers: list[Transfer], tally: _Tally) -> None:
    names = ", ".join(transfer.file.name for transfer in transfers) or "nothing new"
    here = f", of which {human_size(tally.done())} are here" if tally.done() else ""
    # At a level that shows without any logging set up: nobody should have to wonder what fills the line and the disk.
    logger.warning("downloading %s (%s%s) from %s to %s", names, human_size(tally.total), here, repo_id, folder)


def _check_space(folder: Path, size: int) -> None:
    there = next(parent for parent in (folder, *folder.parents) if parent.exists())
    free = shutil.disk_usage(there).free
    if size > free:
        raise DownloadFailed(f"it takes {human_size(size)} and {folder} has {human_size(free)} free")


def human_size(count: int) -> str:
    """Bytes for people: `1.9 GB`, `24.1 MB`, `3 kB`."""
    for unit, factor, digits in (("GB", 1e9, 1), ("MB", 1e6, 1), ("kB", 1e3, 0)):
        if count >= factor:
            return f"{count / factor:.{digits}f} {unit}"
    return f"{count} bytes"
