"""The members of a tar that may be damaged: what is there is listed, where it breaks off is reported once."""

from __future__ import annotations

import gzip
import io
import re
import tarfile
import zlib
from collections.abc import Iterator
from typing import IO, NamedTuple

from PIL import Image

from .errors import reason
from .storage import Storage

_BROKEN = (tarfile.TarError, OSError, EOFError, ValueError, OverflowError, zlib.error, MemoryError, RecursionError)
_LONGEST_TEXT = 1 << 20
_TEXTS = ("txt", "caption", "json")
_END = bytes(tarfile.BLOCKSIZE)
# How files of pictures begin, of formats that say so in more than two bytes: JPEG, PNG, GIF, WebP, TIFF, AVIF and HEIC,
# JPEG XL, JPEG 2000.
_PICTURE = re.compile(
    rb"\xff\xd8\xff|\x89PNG\r\n\x1a\n|GIF8[79]a|RIFF....WEBP|II\*\x00|MM\x00\*|....ftyp(avif|avis|heic|heix|mif1)"
    rb"|\x00\x00\x00\x0cJXL |\x00\x00\x00\x0cjP  ",
    re.DOTALL,
)
_HEAD = 16


class Member(NamedTuple):
    """A file in a tar. `text` is the content where the name says it is a caption; `problem`: why it is not used;
    `has_picture`: whether the content begins as that of a picture, where the name does not say what it is."""

    name: str
    offset: int
    size: int
    text: bytes | None = None
    problem: str = ""
    has_picture: bool = False


class TarDamage(Exception):
    """The tar ends, or stops making sense, before its end mark; the members before that were given out."""


def open_tar(storage: Storage, path: str) -> tuple[IO[bytes], int | None]:
    """The tar's bytes, unpacked where they are gzip, and how many there are; None if only reading tells.

    Offsets are the same in both cases; going backwards in a packed one is slow. Raises what the storage does.
    """
    file = storage.open(path)
    try:
        packed = file.read(2) == b"\x1f\x8b"
        length = file.seek(0, 2)
        file.seek(0)
    except BaseException:
        file.close()
        raise
    if packed:
        file.close()
        return _Unpacked(storage.open(path)), None
    return file, length


class _Unpacked(io.BufferedReader):
    """A gzip file's content; closes the file it reads. The buffer makes small steps back cheap."""

    def __init__(self, packed: IO[bytes]) -> None:
        super().__init__(gzip.GzipFile(fileobj=packed, mode="rb"), 1 << 16)
        self._packed = packed

    def close(self) -> None:
        super().close()
        self._packed.close()


def members(file: IO[bytes], length: int | None) -> Iterator[Member]:
    """The files of a tar in order, each only when all its bytes are known to be there; folders are passed over.

    Raises TarDamage behind the last of them.
    """
    held: Member | None = None
    count = 0
    try:
        tar = tarfile.open(fileobj=file, mode="r:", encoding="utf-8", errors="surrogateescape")  # noqa: SIM115
    except _BROKEN as error:
        raise TarDamage(f"is not a readable tar ({reason(error)})") from error
    while True:
        problem = ""
        try:
            info = tar.next()
            tar.members.clear()  # type: ignore[attr-defined]  # it would keep them all
            following = None if info is None or info.isdir() else _member(tar, file, info)
            if info is None:
                problem = _problem_at_end(tar, file)
        except _BROKEN as error:
            info = following = None
            problem = reason(error)
        if held is not None:
            if problem and not _is_whole(held, length):
                raise TarDamage(f"is cut off after {count} files, in {held.name!r}: that and what follows is missing")
            count += 1
            yield held
        held = following
        if problem:
            raise TarDamage(f"is cut off or damaged after {count} files ({problem}): what follows is missing")
        if info is None:
            return


def _is_whole(member: Member, length: int | None) -> bool:
    return bool(member.problem) or length is not None and member.offset + member.size <= length


def _problem_at_end(tar: tarfile.TarFile, file: IO[bytes]) -> str:
    """tarfile stops silently at any header it does not understand; only zeros are an end."""
    file.seek(tar.offset)
    block = file.read(tarfile.BLOCKSIZE)
    return "" if block == _END else "a header makes no sense" if len(block) == len(_END) else "it has no end mark"


def _member(tar: tarfile.TarFile, file: IO[bytes], info: tarfile.TarInfo) -> Member:
    name = info.name
    if name.startswith("/") or ".." in name.split("/"):
        return Member(name, 0, 0, problem="has a name in the tar that leads outside it")
    if info.issparse():
        return Member(name, 0, 0, problem="is a sparse file in the tar, which is not supported")
    if not info.isreg():
        return Member(name, 0, 0, problem="is a link or device in the tar, not a file")
    ending = name.rpartition(".")[2].lower()
    text, head = None, b""
    if ending in _TEXTS and info.size <= _LONGEST_TEXT:
        file.seek(info.offset_data)  # now: in a packed tar there is no cheap way back
        text = file.read(info.size)
    elif f".{ending}" not in Image.registered_extensions():
        file.seek(info.offset_data)
        head = file.read(min(info.size, _HEAD))
    return Member(name, info.offset_data, info.size, text, has_picture=_PICTURE.match(head) is not None)
