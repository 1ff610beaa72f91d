"""Captions as tars parallel to those of the pictures, to be read beside them: the same keys in the same order."""

from __future__ import annotations

import io
import json
import os
import re
import tarfile
from collections.abc import Callable, Iterable, Iterator, Mapping
from itertools import chain, groupby, islice
from pathlib import Path

from ...errors import RequestError
from ...files import FileGroup
from ..records import Item, Record
from ..sources.io.errors import reason
from ..sources.io.storage import MOST_BYTES, Local
from ..sources.io.tar import TarDamage, members, open_tar
from ..sources.source import stem
from ..sources.webdataset import TAR_EXTENSIONS, WebdatasetSource, sample_key
from .target import Names, Rejected, WrittenAtEnd, inside, is_utf8, item_of, reject

_SAMPLES = 10_000  # a shard, where the source has none
CAPTION, _CAPTIONS, _TAGS, _TEXTS, _FAILED = "txt", "captions.json", "tags.json", "texts.json", "failed.txt"
TEXT_ENDINGS = frozenset({CAPTION, _CAPTIONS, _TAGS, _TEXTS})
"""What a sample has of its picture's texts."""
_OWN_SHARD = re.compile(r"captions-\d{6,}\.tar")


Sample = dict[str, str]  # extension and text


class WebdatasetTarget(WrittenAtEnd):
    """For each tar of the source one of the same name; for other sources `captions-000000.tar` and so on.

    A sample is `key.txt` with the caption, with `several` also `key.captions.json` with all of them, and
    `key.tags.json` with the tags if the run had a tagger, and `key.texts.json` with the texts for the encoders of an
    image model that has several; where a picture
    failed and nothing was there before, `key.failed.txt` says why, so that no sample is missing. Other sources'
    keys are their names with `_` for the dots that webdataset would split at. The same records give the same bytes.
    Raises RequestError: the folder is that of the source's own tars, or a tar of ours that is there is damaged.
    """

    kind = "webdataset"

    def __init__(self, out: Path, names: Names, several: bool) -> None:
        self._out = out
        self._names = names
        self._several = several
        for source in names.sources.values():
            if isinstance(source, WebdatasetSource) and source.folder is not None and len(names.sources) == 1:
                if os.path.realpath(out) == os.path.realpath(source.folder):
                    raise RequestError(
                        f"{out}: the captions' tars would replace those of the pictures; give another folder"
                    )
        self._cache: tuple[str | None, dict[str, Sample]] = (None, {})  # the shard read last; "": all of our own

    def files(self) -> list[Path]:
        return sorted(self._out.rglob("*.tar"))

    def existing(self, item: Item) -> str | None:
        return self._sample(item).get(CAPTION)

    def captions(self, item: Item) -> tuple[str, ...]:
        return captions_of(self._sample(item))

    def _sample(self, item: Item) -> Sample:
        """What is there of an item."""
        address = self._locate(item, 0)
        return {} if address is None else self._old(address[0]).get(address[1], {})

    def finish(self, records: Iterable[Record]) -> list[Rejected]:
        def sample(record: Record, old: Sample | None) -> Sample | None:
            is_missing = old is None or CAPTION not in old
            if record.status == "done" or record.status == "kept" and record.caption and is_missing:
                return text_members(record, old or {}, self._several)
            return old or {_FAILED: record.reason or record.status}

        return self._rewrite(records, sample)

    def restore(self, records: Iterable[Record]) -> list[Rejected]:
        changed: list[Rejected] = []

        def sample(record: Record, old: Sample | None) -> Sample | None:
            now = old.get(CAPTION) if old is not None else None
            if now is None and record.existing is None:
                return None  # at most that it failed
            if not record.is_for_target or now == record.existing:
                return old
            if now != record.caption:
                changed.append(reject(record, "its caption was changed after the run, so it stays as it is"))
                return old
            return None if record.existing is None else {CAPTION: record.existing}

        return self._rewrite(records, sample) + changed

    def _rewrite(
        self, records: Iterable[Record], sample_of: Callable[[Record, Sample | None], Sample | None]
    ) -> list[Rejected]:
        """Writes the shards of these records again, each with what it held of other keys behind them."""
        rejected: list[Rejected] = []
        shards: list[str] = []
        own_rest: dict[str, Sample] = {}
        with FileGroup() as files:
            for shard, group in groupby(self._located(records, rejected), lambda located: located[0]):
                if shard in shards:
                    raise RequestError("records for tars must be in the order of the source")
                if _OWN_SHARD.fullmatch(shard) and not any(map(_OWN_SHARD.fullmatch, shards)):
                    own_rest = dict(self._old(shard))
                shards.append(shard)
                rest = own_rest if _OWN_SHARD.fullmatch(shard) else dict(self._old(shard))
                samples = _samples(group, rest, sample_of)
                others = iter(()) if rest is own_rest else _drain(rest)
                self._dump(files, shard, chain(samples, others))
            own = sum(1 for shard in shards if _OWN_SHARD.fullmatch(shard))
            others = _drain(own_rest)
            while some := list(islice(others, _SAMPLES)):
                self._dump(files, _own_shard(own), iter(some))
                own += 1
        if own:
            for stale in self._own_paths()[own:]:
                stale.unlink()
        self._cache = (None, {})
        return rejected

    def _located(self, records: Iterable[Record], rejected: list[Rejected]) -> Iterator[tuple[str, str, Record]]:
        """Shard and key of each record; what cannot have any is rejected."""
        used: set[tuple[str, str]] = set()
        count = 0
        for record in records:
            item = item_of(record)
            address = self._locate(item, count)
            if address is None or not is_text(record) or self._key_of(address) in used:
                if record.status != "failed":
                    rejected.append(reject(record, self._why_not(address, record)))
                continue
            used.add(self._key_of(address))
            count += 0 if isinstance(self._names.source(item), WebdatasetSource) else 1
            yield *address, record

    def _key_of(self, address: tuple[str, str]) -> tuple[str, str]:
        return ("", address[1]) if _OWN_SHARD.fullmatch(address[0]) else address

    def _why_not(self, address: tuple[str, str] | None, record: Record) -> str:
        if address is None:
            return "no tar can hold it"
        if not is_text(record):
            return "its caption is not UTF-8"
        return f"another picture also has the key {address[1]}"

    def _locate(self, item: Item, count: int) -> tuple[str, str] | None:
        """Shard and key; of a source without tars, the shard of the picture with this count."""
        source = self._names.source(item)
        if not isinstance(source, WebdatasetSource):
            return _own_shard(count // _SAMPLES), safe_key(self._names.label(item))
        try:
            shard, name = source.split_key(item.key)
        except RequestError:
            return None
        key = sample_key(name)
        extension = next(end for end in TAR_EXTENSIONS if shard.lower().endswith(end)) if key else ""
        shard = shard[: len(shard) - len(extension)] + ".tar"
        label = self._names.labels[item.source]
        return (f"{label}/{shard}" if label else shard, key[0]) if key else None

    def _old(self, shard: str) -> dict[str, Sample]:
        """What a shard holds, by key; our own shards all together."""
        is_own = _OWN_SHARD.fullmatch(shard) is not None
        name = "" if is_own else shard
        if self._cache[0] != name:
            paths = self._own_paths() if is_own else [self._path(shard)]
            self._cache = (name, {key: sample for path in paths for key, sample in _read(path).items()})
        return self._cache[1]

    def _own_paths(self) -> list[Path]:
        if not self._out.is_dir():
            return []
        return sorted(path for path in self._out.iterdir() if _OWN_SHARD.fullmatch(path.name))

    def _path(self, shard: str) -> Path:
        path = inside(self._out, shard)
        if path is None:
            raise RequestError(f"{shard}: leads outside the folder for captions")
        return path

    def _dump(self, files: FileGroup, shard: str, samples: Iterator[tuple[str, Sample]]) -> None:
        first = next(samples, None)
        path = self._path(shard)
        if first is None:
            path.unlink(missing_ok=True)  # nothing of what it held is left
            return
        path.parent.mkdir(parents=True, exist_ok=True)
        with files.open(path) as file, tarfile.open(fileobj=file, mode="w", format=tarfile.GNU_FORMAT) as tar:
            for key, sample in chain([first], samples):
                add_sample(tar, key, {extension: text.encode() for extension, text in sample.items()})


def safe_key(name: str) -> str:
    """The key of a picture that is in no tar: its name, with `_` for the dots that webdataset would split at."""
    folder, slash, own = stem(name).rpartition("/")
    return folder + slash + own.replace(".", "_")


def add_sample(tar: tarfile.TarFile, key: str, files: Mapping[str, bytes]) -> None:
    """Add the files of a sample, by ending, to a tar; the same files give the same bytes."""
    for ending, data in files.items():
        info = tarfile.TarInfo(f"{key}.{ending}")  # no time, owner or mode of this machine
        info.size = len(data)
        tar.addfile(info, io.BytesIO(data))
    tar.members.clear()  # type: ignore[attr-defined]  # it would keep them all


def is_text(record: Record) -> bool:
    return is_utf8(record.caption, *record.captions, *record.texts.values())


def captions_of(sample: Sample) -> tuple[str, ...]:
    """All captions of a sample that has several; () else."""
    try:
        listed = json.loads(sample.get(_CAPTIONS, "[]"))
    except (ValueError, RecursionError):
        return ()
    texts = tuple(each for each in listed if isinstance(each, str)) if isinstance(listed, list) else ()
    return texts if len(texts) > 1 else ()


def text_members(record: Record, old: Sample, several: bool) -> Sample:
    """The record's texts, and of what was there before what this run has not made itself."""
    sample = {CAPTION: record.caption, **{end: old[end] for end in old if end not in (CAPTION, _FAILED)}}
    if several or _CAPTIONS in old or len(record.captions) > 1:
        captions = list(record.captions or (record.caption,))
        sample[_CAPTIONS] = json.dumps(captions, ensure_ascii=False)
    if record.tags:
        sample[_TAGS] = json.dumps(record.tag_texts, ensure_ascii=False)
    if record.texts:
        sample[_TEXTS] = json.dumps(dict(record.texts), ensure_ascii=False)
    return sample


def _own_shard(number: int) -> str:
    return f"captions-{number:06d}.tar"


def _samples(
    group: Iterable[tuple[str, str, Record]],
    rest: dict[str, Sample],
    sample_of: Callable[[Record, Sample | None], Sample | None],
) -> Iterator[tuple[str, Sample]]:
    """The samples of a shard's records; takes their old ones out of `rest`."""
    for _, key, record in group:
        sample = sample_of(record, rest.pop(key, None))
        if sample is not None:
            yield key, sample


def _drain(rest: dict[str, Sample]) -> Iterator[tuple[str, Sample]]:
    """What is in `rest` when it is asked for."""
    yield from rest.items()


def _read(path: Path) -> dict[str, Sample]:
    """The samples of a tar of ours; none if it is not there. Raises RequestError if it is damaged."""
    samples: dict[str, Sample] = {}
    try:
        file, length = open_tar(Local(), str(path))
        with file:
            for member in members(file, length):
                found = sample_key(member.name)
                if found is not None and member.size <= MOST_BYTES:
                    file.seek(member.offset)
                    samples.setdefault(found[0], {})[found[1]] = file.read(member.size).decode()
    except FileNotFoundError:
        return {}
    except (TarDamage, OSError, ValueError) as error:
        raise RequestError(f"{path}: exists, but cannot be read ({reason(error)})") from error
    return samples
