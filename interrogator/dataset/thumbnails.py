"""Small pictures for the report, made while the picture is decoded anyway."""

from __future__ import annotations

import io
import zipfile
from collections.abc import Callable, Iterable, Mapping
from pathlib import Path

from PIL import Image

from ..whole_files import write_whole
from .plan import Shard
from .records import Record

_SIDE = 160  # pixels
_QUALITY = 80
# Beyond so many pictures a report is for reading, not for looking at.
_MOST = 100_000


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

    def write(self, shard: int, pictures: Mapping[tuple[int, str], bytes]) -> None:
        """Keep the thumbnails of a shard, by name of the item. Raises OSError."""
        self._folder.mkdir(parents=True, exist_ok=True)
        data = io.BytesIO()
        with zipfile.ZipFile(data, "w", zipfile.ZIP_STORED) as archive:
            for name, picture in pictures.items():
                archive.writestr(_entry(name), picture)
        write_whole(self._path(shard), data.getvalue())

    def of(self, shards: Iterable[Shard]) -> Callable[[Record], bytes | None]:
        """Finds a record's thumbnail; fastest for records in the order of the shards."""
        places: dict[tuple[int, str], int] = {}
        for shard in shards:
            if len(places) < _MOST:
                places.update(dict.fromkeys((item.name for item in shard.items()), shard.number))
        opened: dict[int, dict[str, bytes]] = {}

        def find(record: Record) -> bytes | None:
            shard = places.get(record.name)
            if shard is None:
                return None
            if shard not in opened:
                opened.clear()
                opened[shard] = self._read(shard)
            return opened[shard].get(_entry(record.name))

        return find

    def _read(self, shard: int) -> dict[str, bytes]:
        try:
            with zipfile.ZipFile(self._path(shard)) as archive:
                return {name: archive.read(name) for name in archive.namelist()}
        except (OSError, zipfile.BadZipFile):
            return {}

    def _path(self, shard: int) -> Path:
        return self._folder / f"{shard:05d}.zip"


def _entry(name: tuple[int, str]) -> str:
    """A name that any zip can hold."""
    source, key = name
    return f"{source}-{key.encode('utf-8', 'surrogateescape').hex()}"
