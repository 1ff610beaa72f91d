"""Tars as webdataset means them: adjacent files whose names agree up to the first dot are one sample."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator, Sequence
from itertools import product
from pathlib import Path
from typing import IO, NamedTuple

from ...errors import ImageReadError, RequestError
from ..records import Item
from .folder import caption_text
from .imagefolder import row_caption
from .source import UniqueKeys, clean_key, is_picture, picture_extensions
from .storage import MOST_BYTES, Storage, too_large
from .tars import Member, TarDamage, members, open_tar
from .walking import reason

TAR_EXTENSIONS = (".tar", ".tar.gz", ".tgz")
_MOST_SHARDS = 1_000_000


class WebdatasetSource:
    """The pictures of one or many tars. A key is `shard.tar/` and the name in the tar; a place is (offset, length).

    `Item.caption` is the sample's .txt, .caption or .json ("text" or "caption" in it), in this order. A tar that is
    missing, cut off or damaged is an item with trouble under the tar's own name; so are names that lead outside, links,
    and names that are there twice. Packed tars (.tar.gz) can be read, but only from front to back.
    """

    kind = "webdataset"
    folder: Path | None

    def __init__(self, storage: Storage, root: str, shards: Sequence[str], uri: str, number: int) -> None:
        """shards: names of the tars under the folder `root`."""
        self.uri = uri
        self.number = number
        self.folder = storage.local(root)
        self._storage = storage
        self._shards = dict.fromkeys(shards)
        self._root = root
        self._kept: _Opened | None = None  # the packed tar that was read last, where reading stopped

    def items(self) -> Iterator[Item]:
        keys = UniqueKeys()
        for shard in self._shards:
            try:
                file, length = open_tar(self._storage, self._storage.join(self._root, shard))
            except Exception as error:  # noqa: BLE001  every file system has errors of its own
                yield Item(keys.take(shard)[0], self.number, trouble=f"cannot be opened ({reason(error)})")
                continue
            with file:
                yield from self._items_of(shard, file, length, keys)

    def read(self, items: Sequence[Item]) -> Iterator[tuple[Item, bytes | Exception]]:
        kept, self._kept = self._kept, None
        tars = _OneTar(self._storage, self._root, kept)
        try:
            for item in items:
                yield item, self._read_one(item, tars)
        finally:
            self._kept = tars.leave()

    def path(self, item: Item) -> Path | None:
        return None

    def sidecar(self, item: Item, extension: str) -> Path | None:
        return None

    def split_key(self, key: str) -> tuple[str, str]:
        """The tar and the name in it. Raises RequestError for a key of no tar of this source."""
        end = key.find("/")
        while end >= 0:
            if key[:end] in self._shards:
                return key[:end], key[end + 1 :]
            end = key.find("/", end + 1)
        raise RequestError(f"{self.uri}: has no tar that {key!r} could be in")

    def _items_of(self, shard: str, file: IO[bytes], length: int | None, keys: UniqueKeys) -> Iterator[Item]:
        sample: list[tuple[str, Member]] = []
        current: str | None = None
        damage = ""
        found = members(file, length)
        while not damage:
            try:
                member = next(found, None)
            except TarDamage as error:
                member, damage = None, str(error)
            if member is not None and member.trouble:
                key = keys.take(f"{shard}/{clean_key(member.name)}")[0]
                yield Item(key, self.number, trouble=member.trouble)
                continue
            key_and_extension = sample_key(member.name) if member is not None else None
            if member is not None and key_and_extension is None:
                continue
            if key_and_extension is None or key_and_extension[0] != current:
                yield from self._items_of_sample(shard, sample, keys)
                sample.clear()
            if member is None or key_and_extension is None:
                break
            current = key_and_extension[0]
            sample.append((key_and_extension[1], member))
        if damage:
            yield Item(keys.take(shard)[0], self.number, trouble=damage)

    def _items_of_sample(self, shard: str, sample: list[tuple[str, Member]], keys: UniqueKeys) -> Iterator[Item]:
        known = picture_extensions()
        pictures = [pair for pair in sample if f".{pair[0]}" in known] or [
            pair
            for pair in sample
            if is_picture(f"a.{pair[0]}")  # `22.05.png`, or a mask beside no picture
        ]
        caption = _caption(sample)
        extensions = [extension for extension, _ in sample]
        for extension, member in pictures:
            key, again = keys.take(f"{shard}/{member.name}")
            trouble = ""
            if again or extensions.count(extension) > 1:
                trouble = "is in the tar more than once, which webdataset refuses"
            yield Item(key, self.number, (member.offset, member.size), member.size, caption, trouble)

    def _read_one(self, item: Item, tars: _OneTar) -> bytes | ImageReadError:
        if item.trouble or len(item.place) != 2:
            return ImageReadError(item.key, item.trouble or "has no place in a tar")
        offset, length = item.place
        if length > MOST_BYTES:
            return too_large(item.key, length)
        if length == 0:
            return ImageReadError(item.key, "is empty")
        try:
            file = tars.at(self.split_key(item.key)[0], offset)
            file.seek(offset)
            data = file.read(length)
        except MemoryError:
            return ImageReadError(item.key, "is too large for the free memory")
        except Exception as error:  # noqa: BLE001  every file system has errors of its own
            return ImageReadError(item.key, f"cannot be read ({reason(error)})")
        return data if len(data) == length else ImageReadError(item.key, "is cut off in the tar")


class _Opened(NamedTuple):
    shard: str
    file: IO[bytes]
    packed: bool


class _OneTar:
    """The tar that a call of `read` has open. A packed one is not opened again to read on behind where it stopped."""

    def __init__(self, storage: Storage, root: str, opened: _Opened | None) -> None:
        self._storage = storage
        self._root = root
        self._opened = opened

    def at(self, shard: str, offset: int) -> IO[bytes]:
        """The tar, from which `offset` can be reached. Raises what the storage does."""
        opened = self._opened
        if opened is None or opened.shard != shard or (opened.packed and opened.file.tell() > offset):
            self._close()
            file, length = open_tar(self._storage, self._storage.join(self._root, shard))
            opened = self._opened = _Opened(shard, file, length is None)
        return opened.file

    def leave(self) -> _Opened | None:
        """Closes a plain tar; gives out a packed one for the next call."""
        if self._opened is not None and self._opened.packed:
            return self._opened
        self._close()
        return None

    def _close(self) -> None:
        if self._opened is not None:
            self._opened.file.close()
            self._opened = None


def sample_key(name: str) -> tuple[str, str] | None:
    """The sample a name in a tar belongs to, and its extension in lower case; None where webdataset passes it over."""
    folder, slash, base = name.rpartition("/")
    head, dot, extension = base.partition(".")
    if not head or not dot or re.match(r"__[^/]*__(\Z|/)", name):
        return None
    return folder + slash + head, extension.lower()


def expand_braces(pattern: str) -> list[str]:
    """`a-{000..002}.tar` and `{x,y}.tar` spelled out, in order. Raises RequestError for more than a million names."""
    pieces = re.split(r"\{(\d+\.\.\d+|[^{}]*,[^{}]*)\}", pattern)
    count = 1
    choices: list[Sequence[str]] = []
    for number, piece in enumerate(pieces):
        if number % 2 == 0:
            choices.append([piece])
            continue
        first, _, last = piece.partition("..")
        if last and first.isdecimal() and last.isdecimal():
            start, stop = int(first), int(last)
            size = abs(stop - start) + 1
        else:
            size = 0
        count *= size or piece.count(",") + 1
        if count > _MOST_SHARDS:
            raise RequestError(f"{pattern}: names more than {_MOST_SHARDS:,} tars")
        if size:
            width = max(len(first), len(last)) if "0" in (first[0], last[0]) else 0
            step = 1 if stop >= start else -1
            choices.append([f"{value:0{width}d}" for value in range(start, stop + step, step)])
        else:
            choices.append(piece.split(","))
    return ["".join(parts) for parts in product(*choices)]


def _caption(sample: Sequence[tuple[str, Member]]) -> str | None:
    texts = {extension: member.text for extension, member in sample if member.text is not None}
    for extension in ("txt", "caption"):
        if extension in texts and (text := caption_text(texts[extension])):
            return text
    try:
        row = json.loads(texts.get("json", b"null"))
    except (ValueError, RecursionError):
        return None
    return row_caption(row) if isinstance(row, dict) else None
