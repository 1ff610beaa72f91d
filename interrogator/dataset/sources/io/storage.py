"""Files on this machine, or in any file system that fsspec knows, behind the few calls that sources need."""

from __future__ import annotations

import os
import posixpath
import stat
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path
from typing import IO, Any, Literal, Protocol

from ....errors import ImageReadError, RequestError
from .errors import missing_package, read_errors, reason, too_large
from .folder_walk import Found, Notice, file_version, ignore, walk

MOST_BYTES = 1 << 30
"""Larger files are not read into memory; no picture is that large, but disk images with odd names are."""


_VERSIONS = ("ETag", "etag", "content_md5", "md5Hash", "mtime", "LastModified", "last_modified", "updated", "modified",
             "created", "CRC", "date_time")  # fmt: skip
"""What file systems of fsspec call a digest or a time of a file (S3, GCS, Azure, SFTP, memory, zip)."""


class Storage(Protocol):
    """A place that holds files; paths are whole, in its own spelling."""

    def kind(self, path: str) -> Literal["file", "folder", "other", "none"]:
        """What is there. Raises RequestError if that cannot be found out."""

    def open(self, path: str) -> IO[bytes]:
        """Raises OSError, remote ones whatever they like."""

    def walk(self, root: str, wanted: Callable[[str], bool], notice: Notice = ignore) -> Iterator[Found]:
        """Files under a folder whose name is `wanted`, sorted by key; hidden ones and hidden folders passed over.

        notice: called with the key of every other file.
        """

    def join(self, folder: str, name: str) -> str: ...

    def split(self, path: str) -> tuple[str, str]:
        """Folder and name."""

    def local(self, path: str) -> Path | None:
        """The path on this machine; None if it is elsewhere."""

    def uri(self, path: str) -> str:
        """The whole address of a path."""

    def version(self, path: str) -> str:
        """What tells a file's bytes now from those it had before, without reading them; "" if nothing does."""


def is_url(text: str) -> bool:
    """Whether fsspec, not the operating system, reads it: `s3://…`, `zip://…::file://…`."""
    return "://" in text


def storage_of(uri: str) -> tuple[Storage, str]:
    """The storage that an absolute path or URL is in, and the path there.

    Raises RequestError: fsspec or the package for this kind of URL is missing, or it cannot be reached.
    """
    for scheme in ("file://", "local://"):
        if uri.startswith(scheme) and "::" not in uri:
            path = uri.removeprefix(scheme)
            return Local(), os.path.abspath(path[1:] if os.name == "nt" else path)
    if not is_url(uri):
        return Local(), os.path.abspath(uri)
    try:
        from fsspec.core import url_to_fs
    except ImportError as error:
        raise missing_package("fsspec", uri) from error
    try:
        file_system, path = url_to_fs(uri)
    except read_errors() as error:
        raise RequestError(f"{uri}: cannot be reached ({reason(error)})") from error
    return Remote(file_system), path


def read_picture(storage: Storage, path: str, key: str) -> bytes | ImageReadError:
    """A picture file's bytes, or the error that says why not; never raises for a file."""
    try:
        kind = storage.kind(path) if isinstance(storage, Local) else "file"  # opening a pipe would wait for ever
        if kind != "file":
            return ImageReadError(key, "no such file" if kind == "none" else "is a folder or device, not a file")
        with storage.open(path) as file:
            size = _size(file)
            if size > MOST_BYTES:
                return too_large(key, size)
            return file.read() or ImageReadError(key, "is empty")
    except FileNotFoundError:
        return ImageReadError(key, "no such file")
    except MemoryError:
        return ImageReadError(key, "is too large for the free memory")
    except read_errors() as error:
        return ImageReadError(key, f"cannot be read ({reason(error)})")


def _size(file: IO[bytes]) -> int:
    try:
        return os.fstat(file.fileno()).st_size
    except (OSError, AttributeError):  # no file of this machine
        return int(getattr(file, "size", None) or 0)


class Local:
    """This machine's files."""

    def kind(self, path: str) -> Literal["file", "folder", "other", "none"]:
        try:
            mode = os.stat(path).st_mode
        except FileNotFoundError:
            return "none"
        except (OSError, ValueError) as error:  # ValueError: a zero byte in the name
            raise RequestError(f"{path}: cannot be opened ({reason(error)})") from error
        return "file" if stat.S_ISREG(mode) else "folder" if stat.S_ISDIR(mode) else "other"

    def open(self, path: str) -> IO[bytes]:
        return open(path, "rb")

    def walk(self, root: str, wanted: Callable[[str], bool], notice: Notice = ignore) -> Iterator[Found]:
        return walk(root, wanted, notice)

    def join(self, folder: str, name: str) -> str:
        return os.path.join(folder, *name.split("/"))

    def split(self, path: str) -> tuple[str, str]:
        return os.path.split(path)

    def local(self, path: str) -> Path | None:
        return Path(path)

    def uri(self, path: str) -> str:
        return path

    def version(self, path: str) -> str:
        try:
            return file_version(os.stat(path))
        except (OSError, ValueError):
            return ""


class Remote:
    """A file system of fsspec."""

    def __init__(self, file_system: Any) -> None:
        self._files = file_system

    def kind(self, path: str) -> Literal["file", "folder", "other", "none"]:
        try:
            found = self._files.info(path)["type"]
        except FileNotFoundError:
            return "none"
        except read_errors() as error:
            raise RequestError(f"{self.uri(path)}: cannot be opened ({reason(error)})") from error
        return "file" if found == "file" else "folder" if found == "directory" else "other"

    def open(self, path: str) -> IO[bytes]:
        file: IO[bytes] = self._files.open(path, "rb")
        return file

    def walk(self, root: str, wanted: Callable[[str], bool], notice: Notice = ignore) -> Iterator[Found]:
        try:
            found = self._files.find(root, detail=True)
        except read_errors() as error:
            raise RequestError(f"{self.uri(root)}: cannot be listed ({reason(error)})") from error
        start = len(root.rstrip("/")) + 1
        files = {path[start:]: facts for path, facts in found.items()}
        for key in sorted(files):
            parts = key.split("/")
            if any(part.startswith(".") for part in parts):
                continue
            if not wanted(parts[-1]):
                notice(key)
            else:
                yield Found(key, int(files[key].get("size") or 0), version=_remote_version(files[key]))

    def join(self, folder: str, name: str) -> str:
        return posixpath.join(folder, name)

    def split(self, path: str) -> tuple[str, str]:
        return posixpath.split(path)

    def local(self, path: str) -> Path | None:
        return None

    def uri(self, path: str) -> str:
        return str(self._files.unstrip_protocol(path))

    def version(self, path: str) -> str:
        try:
            self._files.invalidate_cache(self._files._parent(path))
            return _remote_version(self._files.info(path))
        except read_errors():
            return ""


def _remote_version(facts: Mapping[str, Any]) -> str:
    """From what a file system of fsspec says of a file: a digest of its bytes if it has one, else when it was written.

    "" where it says neither: a size alone proves nothing.
    """
    for name in _VERSIONS:
        if facts.get(name):
            return f"{facts.get('size')} {name} {facts[name]}".replace("@", "_")
    return ""
