"""Whole tars: every picture with its caption, as webdataset reads them."""

from __future__ import annotations

import os
import re
import tarfile
from collections.abc import Callable, Iterable, Iterator
from itertools import chain, groupby, islice
from pathlib import Path

from ...errors import RequestError, RunStopped
from ...files import FileGroup
from ..records import Item, Record
from ..sources.io.errors import reason
from ..sources.io.storage import Local
from ..sources.io.tar import TarDamage, members, open_tar
from ..sources.source import Source, is_picture
from ..sources.webdataset import WebdatasetSource, sample_key
from .placed import content_extension
from .target import Names, Rejected, WrittenAtEnd, item_of, reject
from .webdataset import CAPTION, TEXT_ENDINGS, Sample, add_sample, captions_of, is_text, safe_key, text_members

_OWN = re.compile(r"samples-\d{6,}\.tar")
_READ_AT_ONCE = 64  # pictures that are asked for; a source hands out one at a time

Files = dict[str, bytes]
"""A sample: content by ending, in order."""


class RepackTarget(WrittenAtEnd):
    """`samples-000000.tar` and so on: `key.jpg` with the picture's own bytes, `key.txt` and what else captions have.

    Keys are names with `_` for the dots that webdataset would split at. Pictures that failed or have no caption are
    left out; samples that are there and are not of the run stay, behind the others. One picture is in memory at a time.
    Raises RequestError: the folder is that of the source's own tars.
    """

    kind = "webdataset"

    def __init__(self, out: Path, names: Names, several: bool, size: int) -> None:
        """size: samples in a tar."""
        self._out = out
        self._names = names
        self._several = several
        self._size = size
        self._texts: dict[str, Sample] | None = None
        for source in names.sources.values():
            is_tars = isinstance(source, WebdatasetSource) and source.folder is not None
            if is_tars and os.path.realpath(out) == os.path.realpath(source.folder or ""):
                raise RequestError(f"{out}: is the folder of the source's own tars; give another folder")

    def files(self) -> list[Path]:
        if not self._out.is_dir():
            return []
        return sorted(path for path in self._out.iterdir() if _OWN.fullmatch(path.name))

    def existing(self, item: Item) -> str | None:
        return self._there().get(self._key(item), {}).get(CAPTION)

    def captions(self, item: Item) -> tuple[str, ...]:
        return captions_of(self._there().get(self._key(item), {}))

    def finish(self, records: Iterable[Record]) -> list[Rejected]:
        rejected: list[Rejected] = []
        used: set[str] = set()
        fresh = self._fresh(records, used, rejected)
        self._write(chain(fresh, self._old(lambda key, files: None if key in used else files)))
        return rejected

    def restore(self, records: Iterable[Record]) -> list[Rejected]:
        changed: list[Rejected] = []
        ours = {self._key(item_of(each)): each for each in records if each.is_for_target}

        def put_back(key: str, files: Files) -> Files | None:
            record = ours.get(key)
            now = _text(files)
            if record is None or now == record.existing:
                return files
            if now != record.caption:
                changed.append(reject(record, "its caption was changed after the run, so it stays as it is"))
                return files
            return None if record.existing is None else {**files, CAPTION: record.existing.encode()}

        self._write(self._old(put_back))
        return changed

    def _there(self) -> dict[str, Sample]:
        """The texts that are in the tars, by key."""
        if self._texts is None:
            self._texts = {}
            for path in self.files():
                for key, ending, data in _members(path, TEXT_ENDINGS.__contains__):
                    sample = self._texts.setdefault(key, {})
                    if ending in TEXT_ENDINGS:
                        sample[ending] = data.decode("utf-8", "replace")
        return self._texts

    def _key(self, item: Item) -> str:
        return safe_key(self._names.label(item))

    def _fresh(
        self, records: Iterable[Record], used: set[str], rejected: list[Rejected]
    ) -> Iterator[tuple[str, Files]]:
        """The samples of records; `used` gets their keys."""
        there = self._there()
        able = (each for each in records if each.status != "failed")
        wanted = (each for each in able if each.caption or CAPTION in there.get(self._key_of(each), {}))
        for source_number, group in groupby(wanted, key=lambda record: record.source):
            source = self._names.sources[source_number]
            for record, data in _contents(source, group):
                key = self._key_of(record)
                ending = _ending(record.key, data) if isinstance(data, bytes) else ""
                problem = f"its picture {data}" if isinstance(data, Exception) else "" if ending else "is no picture"
                if not is_text(record):
                    problem = "its caption is not UTF-8"
                if key in used:
                    problem = f"another picture also has the key {key}"
                if problem or not isinstance(data, bytes):
                    rejected.append(reject(record, problem))
                    continue
                used.add(key)
                old = there.get(key, {})
                is_new = record.status == "done" or CAPTION not in old
                texts = text_members(record, old, self._several) if is_new else old
                yield key, {ending: data, **{name: text.encode() for name, text in texts.items()}}

    def _key_of(self, record: Record) -> str:
        return self._key(item_of(record))

    def _old(self, keep: Callable[[str, Files], Files | None]) -> Iterator[tuple[str, Files]]:
        """The samples that are in the tars, as `keep` leaves them."""
        for path in self.files():
            for key, group in groupby(_members(path, lambda ending: True), key=lambda member: member[0]):
                files = keep(key, {ending: data for _, ending, data in group})
                if files is not None:
                    yield key, files

    def _write(self, samples: Iterator[tuple[str, Files]]) -> None:
        """Write all tars again; they take their names together."""
        count = 0
        with FileGroup() as group:
            while (first := next(samples, None)) is not None:
                self._out.mkdir(parents=True, exist_ok=True)
                with (
                    group.open(self._out / f"samples-{count:06d}.tar") as file,
                    tarfile.open(fileobj=file, mode="w", format=tarfile.GNU_FORMAT) as tar,
                ):
                    for key, files in chain([first], islice(samples, self._size - 1)):
                        add_sample(tar, key, files)
                count += 1
        for stale in self.files()[count:]:
            stale.unlink()
        self._texts = None


def _contents(source: Source, records: Iterable[Record]) -> Iterator[tuple[Record, bytes | Exception]]:
    """Each record's picture. Raises RunStopped as `Source.read`."""
    finder = _Finder(source)
    records = iter(records)
    while some := list(islice(records, _READ_AT_ONCE)):
        items = [finder.item(record) for record in some]
        for record, (_, data) in zip(some, source.read(items), strict=True):
            if isinstance(data, RunStopped):
                raise data
            yield record, data


class _Finder:
    """The items of records, which know where their pictures are; lists a source again only where the order differs."""

    def __init__(self, source: Source) -> None:
        self._source = source
        self._items: Iterator[Item] = iter(())
        self._needs_position = bool(source.containers)

    def item(self, record: Record) -> Item:
        item = item_of(record)
        if not self._needs_position:
            return item
        for listed in (self._items, self._source.items()):  # from where the last one was, then from the beginning
            self._items = listed
            for each in listed:
                if each.name == record.name:
                    return each
        return Item(record.key, record.source, problem="is no longer there")


def _ending(key: str, data: bytes) -> str:
    """Of a picture file in the tar, without its dot; "" if the content is no picture."""
    name = key.rpartition("/")[2]
    ending = name.rpartition(".")[2].lower() if is_picture(name) else content_extension(data).removeprefix(".")
    return ending


def _text(files: Files) -> str | None:
    data = files.get(CAPTION)
    return None if data is None else data.decode("utf-8", "replace")


def _members(path: Path, wanted: Callable[[str], bool]) -> Iterator[tuple[str, str, bytes]]:
    """Key, ending and content of the files in a tar of ours. Raises RequestError if it is damaged."""
    try:
        file, length = open_tar(Local(), str(path))
        with file:
            for member in members(file, length):
                found = sample_key(member.name)
                if found is None or member.problem:
                    continue
                data = b""
                if wanted(found[1]):
                    file.seek(member.offset)
                    data = file.read(member.size)
                yield *found, data
    except (TarDamage, OSError) as error:
        raise RequestError(f"{path}: exists, but cannot be read ({reason(error)})") from error
