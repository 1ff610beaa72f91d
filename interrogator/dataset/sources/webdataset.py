"""Tars as webdataset means them: adjacent files whose names agree up to the first dot are one sample."""

from __future__ import annotations

import json
import re
from collections import Counter
from collections.abc import Collection, Iterator, Sequence
from itertools import product
from pathlib import Path
from typing import IO, Any, NamedTuple

from ...errors import ImageReadError, RequestError
from ..records import Item
from .captions import exact_text, row_captions
from .io.errors import read_errors, reason, too_large
from .io.folder_walk import Notice, ignore
from .io.handle_pool import HandlePool
from .io.storage import MOST_BYTES, Storage
from .io.tar import Member, TarDamage, members, open_tar
from .source import (
    UniqueKeys,
    changed_error,
    clean_key,
    container_version,
    is_picture,
    is_replaced,
    member_version,
    picture_extensions,
)

TAR_EXTENSIONS = (".tar", ".tar.gz", ".tgz")
_MOST_SHARDS = 1_000_000


class WebdatasetSource:
    """The pictures of one or many tars. A key is `shard.tar/` and the name in the tar; a position is (offset, length).

    A picture is what has the ending of one; in a sample without, what begins as a picture does, such as `.img`. A tar
    without any is an item whose problem says what endings there are.

    `Item.caption` is the sample's .txt, .caption or .json ("text", "caption" or "prompt" in it), in this order;
    `Item.captions` are those of a list in the .json, or in the .captions.json that tars of captions have. A tar that is
    missing, cut off or damaged is an item with a problem under the name of the tar; so are names that lead outside,
    links, and names that are there twice. Packed tars (.tar.gz) can be read, but only from front to back.
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
        self.notice: Notice = ignore
        self._open_tars: HandlePool[_Tar] = HandlePool()  # packed ones only

    @property
    def containers(self) -> Collection[str]:
        return self._shards.keys()

    def container(self, item: Item) -> str:
        try:
            return self.split_key(item.key)[0]
        except RequestError:
            return ""

    def version(self, container: str) -> str:
        return self._storage.version(self._storage.join(self._root, container))

    def items(self) -> Iterator[Item]:
        keys = UniqueKeys()
        for shard in self._shards:
            version = self.version(shard)  # before it is read, so that what is written meanwhile has another
            try:
                file, length = open_tar(self._storage, self._storage.join(self._root, shard))
            except read_errors() as error:
                yield Item(keys.take(shard)[0], self.number, problem=f"cannot be opened ({reason(error)})")
                continue
            with file:
                yield from self._items_of(shard, version, file, length, keys)

    def read(self, items: Sequence[Item]) -> Iterator[tuple[Item, bytes | Exception]]:
        tar: _Tar | None = None
        try:
            for item in items:
                if item.problem or len(item.position) != 2:
                    yield item, ImageReadError(item.key, item.problem or "is in no tar that was listed")
                    continue
                data: bytes | Exception
                try:
                    shard, offset = self.split_key(item.key)[0], item.position[0]
                    version = container_version(item)
                    if tar is None or tar.fits(shard, version, offset) is None:
                        self._leave(tar)
                        tar = None
                        tar = self._tar(shard, version, offset)
                    data = tar.read(item)
                    if is_replaced(self._version_now(tar), item):
                        data = changed_error(self.uri, shard)
                except MemoryError:
                    data = ImageReadError(item.key, "is too large for the free memory")
                except read_errors(RequestError) as error:
                    data = ImageReadError(item.key, f"cannot be read ({reason(error)})")
                yield item, data
        finally:
            self._leave(tar)

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

    def _items_of(
        self, shard: str, version: str, file: IO[bytes], length: int | None, keys: UniqueKeys
    ) -> Iterator[Item]:
        sample: list[tuple[str, Member]] = []
        current: str | None = None
        damage = ""
        endings: Counter[str] = Counter()
        has_pictures = False
        found = members(file, length)
        while not damage:
            try:
                member = next(found, None)
            except TarDamage as error:
                member, damage = None, str(error)
            if member is not None and member.problem:
                key = keys.take(f"{shard}/{clean_key(member.name)}")[0]
                yield Item(key, self.number, problem=member.problem)
                continue
            key_and_extension = sample_key(member.name) if member is not None else None
            if member is not None and not is_picture(member.name):
                self.notice(f"{shard}/{member.name}")
            if member is not None and key_and_extension is None:
                continue
            if key_and_extension is None or key_and_extension[0] != current:
                for item in self._items_of_sample(shard, version, sample, keys):
                    has_pictures = True
                    yield item
                sample.clear()
            if member is None or key_and_extension is None:
                break
            current = key_and_extension[0]
            endings[f".{key_and_extension[1]}"] += 1
            sample.append((key_and_extension[1], member))
        if damage or not has_pictures:
            # One of a known version was read to its end: what had been in it is gone.
            known = "" if damage else version
            yield Item(keys.take(shard)[0], self.number, problem=damage or _without_pictures(endings), version=known)

    def _items_of_sample(
        self, shard: str, version: str, sample: list[tuple[str, Member]], keys: UniqueKeys
    ) -> Iterator[Item]:
        known = picture_extensions()
        pictures = (
            [pair for pair in sample if f".{pair[0]}" in known]
            or [pair for pair in sample if is_picture(f"a.{pair[0]}")]  # `22.05.png`, or a mask beside no picture
            or [pair for pair in sample if pair[1].has_picture]  # `.img`, and whatever else it may be called
        )
        caption, captions = _captions(sample)
        extensions = [extension for extension, _ in sample]
        for extension, member in pictures:
            key, again = keys.take(f"{shard}/{member.name}")
            problem = ""
            if again or extensions.count(extension) > 1:
                problem = "is in the tar more than once, which webdataset refuses"
            position, own_version = (member.offset, member.size), member_version(version, member.offset)
            yield Item(key, self.number, position, member.size, caption, problem, own_version, captions)

    def _tar(self, shard: str, version: str, offset: int) -> _Tar:
        kept = self._open_tars.take(lambda tar: tar.fits(shard, version, offset))
        if kept is not None:
            return kept
        there = self.version(shard)
        file, length = open_tar(self._storage, self._storage.join(self._root, shard))
        return _Tar(shard, there, file, length is None)

    def _version_now(self, tar: _Tar) -> str:
        """Of the tar that was read; asked for again where that is cheap."""
        return tar.version if self.folder is None else self.version(tar.shard)

    def _leave(self, tar: _Tar | None) -> None:
        if tar is not None and tar.packed:
            self._open_tars.give(tar)
        elif tar is not None:
            tar.close()


class _Tar(NamedTuple):
    """An open tar. From a packed one, only what is behind what was read can be read on."""

    shard: str
    version: str
    file: IO[bytes]
    packed: bool

    def fits(self, shard: str, version: str, offset: int) -> int | None:
        """How far it was read; None if the offset cannot be reached from there, or it is another tar."""
        read_up_to = self.file.tell() if self.packed else 0
        is_same = shard == self.shard and version in (self.version, "")
        return read_up_to if is_same and read_up_to <= offset else None

    def read(self, item: Item) -> bytes | ImageReadError:
        offset, length = item.position
        if length > MOST_BYTES:
            return too_large(item.key, length)
        if length == 0:
            return ImageReadError(item.key, "is empty")
        self.file.seek(offset)
        data = self.file.read(length)
        return data if len(data) == length else ImageReadError(item.key, "is cut off in the tar")

    def close(self) -> None:
        self.file.close()


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
            raise RequestError(f"{pattern}: expands to more than {_MOST_SHARDS:,} tars")
        if size:
            width = max(len(first), len(last)) if "0" in (first[0], last[0]) else 0
            step = 1 if stop >= start else -1
            choices.append([f"{value:0{width}d}" for value in range(start, stop + step, step)])
        else:
            choices.append(piece.split(","))
    return ["".join(parts) for parts in product(*choices)]


def _without_pictures(endings: Counter[str]) -> str:
    """What to say of a tar by the endings of the files in it."""
    there = ", ".join(f"{count} {ending}" for ending, count in endings.most_common(5))
    return f"has no pictures in it, only {there}" if there else "has no pictures in it, nor any other sample"


def _captions(sample: Sequence[tuple[str, Member]]) -> tuple[str | None, tuple[str, ...]]:
    """The caption of a sample, None if it has none; and all of them where there are several."""
    texts = {extension: member.text for extension, member in sample if member.text is not None}
    files = [exact_text(texts[extension]) for extension in ("txt", "caption") if extension in texts]
    caption = next(filter(None, files), None)
    listed = _json(texts.get("captions.json"))
    if isinstance(listed, list):
        several = row_captions({"text": listed})
        if len(several) > 1 and caption in (None, several[0]):
            return several[0], several
    if caption is not None:
        return caption, ()
    row = _json(texts.get("json"))
    several = row_captions(row) if isinstance(row, dict) else ()
    if any(several):
        return several[0], several if len(several) > 1 else ()
    return next(iter((*files, *several)), None), ()


def _json(data: bytes | None) -> Any:
    try:
        return json.loads(data or b"null")
    except (ValueError, RecursionError):
        return None
