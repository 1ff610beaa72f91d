"""From an address to a source, by looking at what is there."""

from __future__ import annotations

import os
from collections import Counter
from collections.abc import Sequence
from os import PathLike

from ...dataset_choices import SOURCE_KINDS, SourceKind
from ...errors import RequestError
from .captions import CAPTION_COLUMNS
from .folder import FolderSource
from .imagefolder import METADATA_NAMES, ImagefolderSource
from .io.storage import Storage, is_url, storage_of
from .parquet import ParquetSource
from .path_list import LIST_EXTENSIONS, ListSource
from .source import Source, is_picture
from .webdataset import TAR_EXTENSIONS, WebdatasetSource, expand_braces


def open_source(
    uri: str | PathLike[str], number: int = 0, kind: SourceKind | None = None, captions_from: str = "",
    columns: Sequence[str] = CAPTION_COLUMNS,
) -> Source:  # fmt: skip
    """Open a folder, tar, brace pattern of tars, parquet file, folder of either, or list of paths.

    Args:
        uri: a path or any URL that fsspec knows.
        number: which of the run's sources it is.
        kind: None decides by looking: a folder with a metadata file is an imagefolder, one with pictures a folder, else
            its tars or its parquet files are read; a file is what its extension says.
        captions_from: for folders, the extension of caption files to read into `Item.caption`, such as ".txt".
        columns: of tables, in which `Item.caption` is looked for.

    Raises RequestError: nothing is there, it is of no known kind, or it cannot be read at all.
    """
    text = os.fsdecode(uri)
    if kind is not None and kind not in SOURCE_KINDS:
        raise RequestError(f"unknown kind of source {kind!r}; choose from {', '.join(SOURCE_KINDS)}")
    if "\0" in text or not text:
        raise RequestError(f"{text!r} is not a path")
    if "{" in text and kind in (None, "webdataset") and (is_url(text) or not os.path.lexists(text)):
        names = expand_braces(text)
        if len(names) > 1:
            return _from_pattern(text, names, number)
    storage, path = storage_of(text)
    there = storage.kind(path)
    if there == "none":
        raise RequestError(f"{text}: no such file or folder")
    if there == "folder":
        return _from_folder(storage, path, number, kind or _kind_of_folder(storage, path), captions_from, columns)
    return _from_file(storage, path, number, kind, columns)


def open_sources(
    uris: Sequence[str | PathLike[str]], kind: SourceKind | None = None, column: str = CAPTION_COLUMNS[0]
) -> list[Source]:
    """Open the sources of a run, numbered from 0; see `open_source`.

    Args:
        column: the one that the run writes. Where that is a name of its own, captions in other columns are others.

    Raises RequestError: also if there is none, or the same one twice.
    """
    if not uris:
        raise RequestError("name a source: a folder of pictures, a tar, a parquet file or a list")
    columns = CAPTION_COLUMNS if column == CAPTION_COLUMNS[0] else (column,)
    sources = [open_source(uri, number, kind, columns=columns) for number, uri in enumerate(uris)]
    for uri, count in Counter(source.uri for source in sources).items():
        if count > 1:
            raise RequestError(f"{uri} is named twice")
    return sources


def _from_pattern(pattern: str, names: list[str], number: int) -> Source:
    """The tars of a brace pattern; keys are relative to the folder in front of the first brace."""
    head = pattern.partition("{")[0]
    folder = head[: max(head.rfind("/"), head.rfind(os.sep)) + 1]
    storage, root = storage_of(folder or os.curdir)
    uri = f"{storage.uri(root).rstrip('/')}/{pattern[len(folder) :]}"
    return WebdatasetSource(storage, root, [name[len(folder) :] for name in names], uri, number)


def _from_file(
    storage: Storage, path: str, number: int, kind: SourceKind | None, columns: Sequence[str]
) -> Source:  # fmt: skip
    folder, name = storage.split(path)
    lower, uri = name.lower(), storage.uri(path)
    if kind is None and name in METADATA_NAMES:
        raise RequestError(f"{uri}: is the metadata of a folder; give the folder instead")
    if kind is None and is_picture(name):
        raise RequestError(f"{uri}: is a single picture; give its folder, or a list of paths")
    if kind == "webdataset" or kind is None and lower.endswith(TAR_EXTENSIONS):
        return WebdatasetSource(storage, folder, [name], uri, number)
    if kind == "parquet" or kind is None and lower.endswith(".parquet"):
        return ParquetSource(storage, folder, [name], uri, number, columns)
    if kind == "list" or kind is None and lower.endswith(LIST_EXTENSIONS):
        return ListSource(storage, path, number)
    if kind is not None:
        raise RequestError(f"{uri}: is a file; {kind} reads a folder")
    raise RequestError(
        f"{uri}: is not a source; give a folder, *.tar, *.parquet or a list of paths (.txt, .list, .csv)"
    )


def _from_folder(
    storage: Storage, path: str, number: int, kind: SourceKind, captions_from: str, columns: Sequence[str]
) -> Source:  # fmt: skip
    uri = storage.uri(path)
    if kind == "imagefolder":
        return ImagefolderSource(storage, path, number, captions_from, columns)
    if kind == "webdataset":
        return WebdatasetSource(storage, path, _names(storage, path, TAR_EXTENSIONS, uri), uri, number)
    if kind == "parquet":
        return ParquetSource(storage, path, _names(storage, path, (".parquet",), uri), uri, number, columns)
    if kind == "list":
        raise RequestError(f"{uri}: is a folder; a list is a file with one path per line")
    return FolderSource(storage, path, number, captions_from)


def _names(storage: Storage, path: str, extensions: tuple[str, ...], uri: str) -> list[str]:
    names = [found.key for found in storage.walk(path, lambda name: name.lower().endswith(extensions))]
    if not names:
        raise RequestError(f"{uri}: contains no {' or '.join(extensions)} file")
    return names


def _kind_of_folder(storage: Storage, path: str) -> SourceKind:
    """What a folder is by the names in it. Raises RequestError that says what there is."""
    there: Counter[str] = Counter()
    pictures = False
    for found in storage.walk(path, lambda name: True):
        name = found.key.rpartition("/")[2]
        if found.problem and not is_picture(name):
            if found.key == ".":
                raise RequestError(f"{storage.uri(path)}: {found.problem}")
            continue
        if name in METADATA_NAMES:
            return "imagefolder"
        pictures = pictures or is_picture(name)
        there[
            next((end for end in TAR_EXTENSIONS if name.lower().endswith(end)), os.path.splitext(name)[1].lower())
        ] += 1
    if pictures:
        return "folder"
    if any(there[extension] for extension in TAR_EXTENSIONS):
        return "webdataset"
    if there[".parquet"]:
        return "parquet"
    found_instead = ", ".join(
        f"{count} {extension or 'without extension'}" for extension, count in there.most_common(5)
    )
    raise RequestError(
        f"{storage.uri(path)}: contains no pictures, tars or parquet files ({found_instead or 'it is empty'})"
    )
