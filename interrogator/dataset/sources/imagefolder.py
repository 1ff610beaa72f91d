"""A folder of pictures with Hugging Face's metadata files, which hold a caption for each."""

from __future__ import annotations

import os
import posixpath
from collections.abc import Iterator, Sequence
from dataclasses import replace
from typing import Any

from ...errors import RequestError
from ..records import Item
from .captions import CAPTION_COLUMNS, row_captions
from .folder import FolderSource
from .io.storage import Storage, is_url
from .io.tables import read_rows
from .io.windows_names import portable
from .source import UniqueKeys, clean_key

METADATA_NAMES = ("metadata.jsonl", "metadata.csv", "metadata.parquet")


class ImagefolderSource(FolderSource):
    """The folder's pictures, also those without a row; `Item.caption` is what the nearest metadata file says.

    Several rows of one picture are several captions of it.
    columns: where captions are; the first that has a text counts.
    Rows whose picture is missing or outside the folder are items with a problem.
    Names are in the column `file_name`, or in `image`, as DiffSynth reads them; whole paths of this machine are names,
    too.
    Raises RequestError: a metadata file that cannot be read or has neither column.
    """

    kind = "imagefolder"

    def __init__(
        self, storage: Storage, root: str, number: int, captions_from: str = "",
        columns: Sequence[str] = CAPTION_COLUMNS,
    ) -> None:  # fmt: skip
        super().__init__(storage, root, number, captions_from)
        self._columns = columns
        self._captions: dict[str, tuple[str, ...]] = {}
        self._outside: list[str] = []
        by_folder: dict[str, str] = {}
        for found in storage.walk(root, METADATA_NAMES.__contains__):
            folder, name = posixpath.split(found.key)
            kept = by_folder.setdefault(folder, name)
            by_folder[folder] = min(kept, name, key=METADATA_NAMES.index)
        for folder in sorted(by_folder):  # of two files the one in the deeper folder is nearer, and comes later
            self._take(folder, posixpath.join(folder, by_folder[folder]))

    def items(self) -> Iterator[Item]:
        missing = dict.fromkeys(self._captions)
        keys = UniqueKeys()
        for item in super().items():
            keys.take(item.key)
            missing.pop(item.key, None)
            captions = self._captions.get(item.key)
            several = captions if captions and len(captions) > 1 else ()
            yield replace(item, caption=captions[0], captions=several) if captions else item
        for key in sorted(missing):
            yield Item(keys.take(key)[0], self.number, problem="the metadata names it, but there is no such file")
        for name in self._outside:
            key = keys.take(clean_key(name))[0]
            yield Item(key, self.number, problem=f"the metadata names {name!r}, which is outside its folder")

    def _relative(self, folder: str, name: Any) -> Any:
        """A name, of a whole path of a picture under the folder of its metadata file what follows that."""
        if self.folder is None or not isinstance(name, str):
            return name
        home = self.folder / folder
        name = portable(name, lambda end: os.path.lexists(home / end))
        if not os.path.isabs(name):
            return name
        inside = os.path.join(os.path.abspath(home), "")
        return name[len(inside) :].replace(os.sep, "/") if name.startswith(inside) else name

    def _take(self, folder: str, key: str) -> None:
        found: dict[str, tuple[str, ...]] = {}
        for row in read_rows(self._storage, self._storage.join(self._root, key)):
            if "file_name" not in row and not isinstance(row.get("image"), str):
                there = ", ".join(map(str, row)) or "none"
                raise RequestError(
                    f"{key}: has no column file_name, only {there}; to ignore it, set the kind to folder"
                )
            name = self._relative(folder, row["file_name"] if "file_name" in row else row["image"])
            if not isinstance(name, str) or not name:
                continue
            inside = posixpath.normpath(posixpath.join(folder, name))
            if is_url(name) or name.startswith("/") or posixpath.relpath(inside, folder or ".").startswith(".."):
                self._outside.append(name)
            else:
                captions = row_captions(row, self._columns)
                if key.endswith(".csv"):  # which has no word for nothing
                    captions = tuple(filter(None, captions))
                found[inside] = tuple(dict.fromkeys((*found.get(inside, ()), *captions)))
        self._captions |= {name: captions or self._captions.get(name, ()) for name, captions in found.items()}
