"""What every source is, and what they share: which names are pictures, stems, and how a name becomes a key."""

from __future__ import annotations

import os
from collections.abc import Collection, Iterator, Sequence
from functools import lru_cache
from pathlib import Path
from typing import Protocol

from PIL import Image

from ...errors import RunStopped
from ...image_formats import register_readers
from ..records import Item
from .io.folder_walk import Notice

# Formats that Pillow registers but that `images.open_image` cannot read: programs for an outside interpreter, and names
# without a decoder behind them. A data file such as `embeddings.h5` is no failed picture.
_NO_PICTURES = frozenset({"EPS", "WMF", "EMF", "BUFR", "GRIB", "HDF5", "MPEG"})


class Source(Protocol):
    """Where a run's pictures are. Listing is cheap and always in the same order; reading never ends for one bad item.

    Attributes:
        uri: the absolute path or URL it was opened from.
        kind: "folder", "imagefolder", "webdataset", "parquet" or "list".
        number: which of the run's sources it is; `Item.source` of its items.
        folder: the local folder that the keys are relative to; None for a remote source.
        notice: called while listing with the key of each file beside the pictures, or in a tar with them, that is none.
        containers: names of the files that hold many pictures each; empty where each picture is a file of its own.
    """

    uri: str
    kind: str
    number: int
    folder: Path | None
    notice: Notice

    @property
    def containers(self) -> Collection[str]: ...

    def items(self) -> Iterator[Item]:
        """All pictures, none of them opened. What cannot be one is an item with `problem`; no two have one key."""

    def read(self, items: Sequence[Item]) -> Iterator[tuple[Item, bytes | Exception]]:
        """The files' bytes in the order of `items`, or an ImageReadError that says why not.

        Fastest for many items at once in the order of `items()`: tars and tables are then read in one go. Threads may
        each iterate a call of their own. A RunStopped instead of bytes says that a container was replaced after its
        items were listed: what is read from it then may be another item's.
        """

    def container(self, item: Item) -> str:
        """Which of the containers an item is in; "" if it is a file of its own."""

    def version(self, container: str) -> str:
        """The container's version as it is now: what its items' versions begin with. "" if it is not there."""

    def path(self, item: Item) -> Path | None:
        """The picture's own file on this machine; None where it has none (tar, parquet, remote)."""

    def sidecar(self, item: Item, extension: str) -> Path | None:
        """Where a caption file beside the picture goes; None where the picture has no file on this machine."""


@lru_cache
def picture_extensions() -> frozenset[str]:
    """Every extension of a picture that can be read, lower case with its dot."""
    register_readers()
    known = Image.registered_extensions().items()
    return frozenset(extension for extension, name in known if name in Image.OPEN and name not in _NO_PICTURES)


def is_picture(name: str) -> bool:
    """Whether a file of this name is taken for a picture."""
    head, dot, extension = name.rpartition(".")
    return bool(dot and head) and f".{extension.lower()}" in picture_extensions()


def stem(key: str) -> str:
    """A key without its picture extension, as trainers look for captions: `a.b.jpg` -> `a.b`; others stay whole."""
    folder, slash, name = key.rpartition("/")
    return folder + slash + name.rpartition(".")[0] if is_picture(name) else key


def clean_key(name: str) -> str:
    """A path or URL as a key that stays inside whatever folder it is joined to: no root, no `..`, no empty part."""
    scheme, separator, rest = name.partition("://")
    parts = (rest if separator else scheme).replace(os.sep, "/").split("/")
    return "/".join("_" if part == ".." else part for part in parts if part not in ("", ".")) or "_"


def member_version(container: str, position: int) -> str:
    """The version of a picture at a position of a container of this version; see `Item`."""
    return f"{container}@{position}"


def container_version(item: Item) -> str:
    """The version of the container that an item was listed from."""
    return item.version.rpartition("@")[0]


def is_replaced(version: str, item: Item) -> bool:
    """Whether a container, now of this version, was replaced since the item was listed; one that is gone was not."""
    return bool(version and item.version) and version != container_version(item)


def changed_error(uri: str, container: str) -> RunStopped:
    """The error that stops a run whose container was written again since it was listed."""
    return RunStopped(
        f"{uri}: {container} changed while the run was reading it; finished captions are kept: run the same command "
        "again to continue with its new content"
    )


class UniqueKeys:
    """Gives a key that was seen before a number of its own, so that no two items have one key."""

    def __init__(self) -> None:
        self._seen: set[str] = set()

    def take(self, key: str) -> tuple[str, bool]:
        """The key to use, and whether it had to be changed."""
        fresh, number = key, 1
        while fresh in self._seen:
            number += 1
            fresh = f"{key}#{number}"
        self._seen.add(fresh)
        return fresh, fresh != key
