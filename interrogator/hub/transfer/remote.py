"""A file of a repository, and where it goes."""

from __future__ import annotations

import hashlib
from dataclasses import dataclass
from pathlib import Path


class TransferError(Exception):
    """Why a download did not work, as half a sentence for a person."""


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


def is_whole(path: Path, file: RemoteFile) -> bool:
    """Whether `path` holds this file, judged by its size and, where that is quick, its content."""
    try:
        size = path.stat().st_size
        if not path.is_file() or (size != file.size if file.size else size == 0):
            return False
        return bool(file.sha256) or has_content(path, file)
    except OSError:
        return False


def has_content(path: Path, file: RemoteFile) -> bool:
    """Whether size and checksum are those that the hub names. Raises OSError."""
    size = path.stat().st_size
    if file.size and size != file.size:
        return False
    with path.open("rb") as content:
        if file.sha256:
            return hashlib.file_digest(content, "sha256").hexdigest() == file.sha256
        if file.git_sha1:
            # https://git-scm.com/book/en/v2/Git-Internals-Git-Objects
            digest = hashlib.sha1(b"blob %d\0" % size)
            while piece := content.read(1 << 20):
                digest.update(piece)
            return digest.hexdigest() == file.git_sha1
    return True
