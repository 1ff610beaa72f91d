"""Small pictures for the report, made while the picture is decoded anyway."""

from __future__ import annotations

import io
import zipfile
from collections.abc import Callable, Iterable, Iterator, Mapping
from functools import lru_cache
from pathlib import Path

from PIL import Image

from ...files import write_whole
from ..records import Record
from ..state.parts import Placed

_SIDE = 160  # pixels
_QUALITY = 80
# Shards whose thumbnails are in memory: one of each plan file that is read at once.
_OPEN = 4


def thumbnail(image: Image.Image) -> bytes:
    """A small JPEG of a picture."""
    small = image.copy()
    small.thumbnail((_SIDE, _SIDE), Image.Resampling.LANCZOS, reducing_gap=2.0)
    data = io.BytesIO()
    small.save(data, "JPEG", quality=_QUALITY)
    return data.getvalue()


class Thumbnails:
    """Those of a run on disk: `00007.zip` beside the part of shard 7."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        self._read = lru_cache(_OPEN)(self._opened)

    def write(self, shard: int, pictures: Mapping[tuple[int, str], bytes]) -> None:
        """Keep the thumbnails of a shard, by name of the item. Raises OSError."""
        self._folder.mkdir(parents=True, exist_ok=True)
        data = io.BytesIO()
        with zipfile.ZipFile(data, "w", zipfile.ZIP_STORED) as archive:
            for name, picture in pictures.items():
                archive.writestr(zipfile.ZipInfo(_entry(name)), picture)  # a clock may stand before 1980
        write_whole(self._path(shard), data.getvalue())
        self._read.cache_clear()

    def of(self, shard: int, name: tuple[int, str]) -> bytes | None:
        """The thumbnail of an item of a shard; None if there is none."""
        return self._read(shard).get(_entry(name))

    def _opened(self, shard: int) -> dict[str, bytes]:
        try:
            with zipfile.ZipFile(self._path(shard)) as archive:
                return {name: archive.read(name) for name in archive.namelist()}
        except (OSError, zipfile.BadZipFile):
            return {}

    def _path(self, shard: int) -> Path:
        return self._folder / f"{shard:05d}.zip"


class Album:
    """The records of a run, as often as they are gone through, and the thumbnail of the one that was given last."""

    def __init__(self, thumbnails: Thumbnails, records: Callable[[], Iterable[Placed]]) -> None:
        self._thumbnails = thumbnails
        self._records = records
        self._shard = 0

    def __iter__(self) -> Iterator[Record]:
        for shard, record in self._records():
            self._shard = shard.number
            yield record

    def thumbnail(self, record: Record) -> bytes | None:
        """The thumbnail of the record that was given last."""
        return self._thumbnails.of(self._shard, record.name)


def _entry(name: tuple[int, str]) -> str:
    """A name that any zip can hold."""
    source, key = name
    return f"{source}-{key.encode('utf-8', 'surrogateescape').hex()}"
