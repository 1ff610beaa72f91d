"""Tables and lists that name pictures by path or URL: where each one is, and what its key is."""

from __future__ import annotations

import os
from pathlib import Path

from ...errors import ImageReadError, RequestError
from .io.folder_walk import file_version
from .io.storage import Local, Storage, is_url, read_picture, storage_of
from .io.windows_names import portable
from .source import clean_key


class Links:
    """Names as they stand in a file of the folder `folder`: relative to it, absolute, of Windows, or URLs."""

    def __init__(self, storage: Storage, folder: str) -> None:
        self._storage = storage
        self._folder = folder
        self._file_systems: dict[str, Storage] = {}

    def key(self, name: str) -> str:
        """Relative to the folder where it is inside; else the whole path or URL without its beginning."""
        if is_url(name) or not isinstance(self._storage, Local):
            return clean_key(name)
        whole = self._whole(name)
        inside = self._folder.rstrip(os.sep) + os.sep
        return clean_key(whole[len(inside) :] if whole.startswith(inside) else whole)

    def local(self, name: str) -> Path | None:
        """The picture's file on this machine; None if it is elsewhere."""
        if is_url(name):
            return Path(storage_of(name)[1]) if name.startswith("file://") and self._allowed(name) else None
        return Path(self._whole(name)) if isinstance(self._storage, Local) else None

    def inspect(self, name: str) -> tuple[int, str, str]:
        """Size, problem and version of a file on this machine, without opening it; (0, "", "") for one elsewhere."""
        if not self._allowed(name):
            return 0, "is a path on this machine, which a list from elsewhere may not name", ""
        path = self.local(name)
        if path is None:
            return 0, "", ""
        try:
            kind = Local().kind(str(path))
            if kind == "file":
                status = os.stat(path)
                return status.st_size, "", file_version(status)
        except (RequestError, OSError):
            return 0, "cannot be opened", ""
        return 0, {"none": "no such file", "folder": "is a folder, not a file"}.get(kind, "is a device, not a file"), ""

    def read(self, name: str, key: str) -> bytes | ImageReadError:
        """The picture's bytes, or why they cannot be read."""
        if not self._allowed(name):
            return ImageReadError(key, "is a path on this machine, which a list from elsewhere may not name")
        try:
            if is_url(name):
                storage, path = storage_of(name)  # fsspec keeps what it connected to
            else:
                storage, path = self._storage, self._whole(name)
        except RequestError as error:
            return ImageReadError(key, str(error))
        return read_picture(storage, path, key)

    def _allowed(self, name: str) -> bool:
        """A list that came over the network does not say which of this machine's files are read and written beside."""
        if isinstance(self._storage, Local):
            return True
        return not name.startswith(("file:", "local:", "/")) and "::" not in name

    def _whole(self, name: str) -> str:
        if isinstance(self._storage, Local):
            name = portable(name, lambda end: os.path.lexists(os.path.join(self._folder, end)))
            return os.path.abspath(os.path.join(self._folder, name))
        return self._storage.join(self._folder, name)
