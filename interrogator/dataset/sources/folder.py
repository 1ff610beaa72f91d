"""A folder of pictures, with all folders in it."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from pathlib import Path

from ...errors import ImageReadError, RequestError
from ..records import Item
from .captions import caption_text
from .io.errors import read_errors
from .io.folder_walk import Notice, ignore
from .io.storage import Storage, read_picture
from .source import is_picture, stem

_LONGEST_CAPTION = 1 << 20  # bytes; more is no caption


class FolderSource:
    """Every picture under a folder; other files are skipped, what only looks like a picture is an item with a problem.

    captions_from: an extension such as ".txt"; then the text of that file beside a picture is its `Item.caption`. It
    costs opening as many files while listing.
    Raises RequestError: not an extension.
    """

    kind = "folder"

    def __init__(self, storage: Storage, root: str, number: int, captions_from: str = "") -> None:
        if captions_from and (
            not captions_from.startswith(".") or "/" in captions_from or is_picture("a" + captions_from)
        ):
            raise RequestError(f"captions_from must be an extension such as .txt, not {captions_from!r}")
        self.uri = storage.uri(root)
        self.number = number
        self.folder = storage.local(root)
        self._storage = storage
        self._root = root
        self._captions_from = captions_from
        self.notice: Notice = ignore

    def items(self) -> Iterator[Item]:
        for key, size, problem, version in self._storage.walk(self._root, is_picture, self.notice):
            caption = self._caption(key) if self._captions_from else None
            yield Item(key, self.number, (), size, caption, problem, version)

    def read(self, items: Sequence[Item]) -> Iterator[tuple[Item, bytes | Exception]]:
        for item in items:
            if item.problem:
                yield item, ImageReadError(item.key, item.problem)
            else:
                yield item, read_picture(self._storage, self._storage.join(self._root, item.key), item.key)

    containers: tuple[str, ...] = ()

    def container(self, item: Item) -> str:
        return ""

    def version(self, container: str) -> str:
        return ""

    def path(self, item: Item) -> Path | None:
        return self._storage.local(self._storage.join(self._root, item.key))

    def sidecar(self, item: Item, extension: str) -> Path | None:
        return self._storage.local(self._storage.join(self._root, stem(item.key) + extension))

    def _caption(self, key: str) -> str | None:
        """The text beside a picture; None if there is none, or none that can be read."""
        try:
            with self._storage.open(self._storage.join(self._root, stem(key) + self._captions_from)) as file:
                return caption_text(file.read(_LONGEST_CAPTION))
        except read_errors():
            return None
