"""Where the texts of an edit come from: the target, the source itself, files beside the pictures, or elsewhere."""

from __future__ import annotations

import codecs
import os
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any, Protocol

from ...dataset_choices import TARGETS
from ...errors import InterrogatorError, RequestError
from ..records import Item
from ..sources import Source
from ..sources.io.storage import storage_of
from ..sources.io.tables import read_rows
from ..sources.source import stem
from ..targets import Target, open_target, text_of
from ..targets.existing_rows import json_object_rows
from ..targets.metadata_tables import METADATA_FILES, metadata_in
from ..targets.sidecars import read_sidecar
from ..targets.target import is_utf8

PLACES = ", ".join(TARGETS)
"""The kinds of files beside the pictures that texts are read from."""

_NAMES = ("file_name", "image_path", "path", "key", "image", "file")
_CAPTIONS = ("text", "caption", "prompt")
_BESIDE = (".txt", ".caption")
_TABLES = (".jsonl", ".json", ".csv", ".parquet")
_UTF16 = (codecs.BOM_UTF16_LE, codecs.BOM_UTF16_BE)


class UnreadableTextError(InterrogatorError):
    """A text is not UTF-8, and nobody said what else it is."""


class Origin(Protocol):
    """Where the text of a picture is."""

    def text(self, item: Item, there: str | None) -> str | None:
        """The text of a picture as `Target.existing` gives it, `there` of what is in the target; None for none."""


class Usual:
    """The target; where it has nothing, what the source says of the picture, or a .txt or .caption file beside it."""

    def __init__(self, sources: Sequence[Source]) -> None:
        self._sources = sources

    def text(self, item: Item, there: str | None) -> str | None:
        if there is not None:
            return there
        if item.caption is not None:
            return item.caption
        paths = (self._sources[item.source].sidecar(item, ending) for ending in _BESIDE)
        found = (read_sidecar(path) for path in paths if path is not None)
        return next((text for text in found if text is not None), None)


class Elsewhere:
    """Files as a target writes them: those of another kind beside the pictures, a folder of texts, or tars."""

    def __init__(self, target: Target) -> None:
        self._target = target

    def text(self, item: Item, there: str | None) -> str | None:
        return self._target.existing(item)


class Table:
    """A table of names and texts, in memory; a picture is found by its path, with or without its ending.

    Of a row, what counts is the column for texts, else its text and its tags. A name with `\\` in it is one of Windows.
    """

    def __init__(self, path: Path, sources: Sequence[Source], column: str = "") -> None:
        """Raises RequestError: the table cannot be read, or has no column for names or for texts."""
        self._folder = os.path.join(os.path.abspath(path.parent), "")
        self._sources = sources
        self._texts = dict(_rows(path, column))

    def text(self, item: Item, there: str | None) -> str | None:
        whole = self._sources[item.source].path(item)
        absolute = "" if whole is None else os.path.abspath(whole).replace(os.sep, "/")
        relative = absolute.removeprefix(self._folder.replace(os.sep, "/"))
        names = (relative, item.key, absolute)
        for name in (*names, *map(stem, names)):
            if name and name in self._texts:
                return self._texts[name]
        return None


def open_origin(where: str, sources: Sequence[Source], column: str = "") -> Origin:
    """Where an edit's texts come from; see `Edit.origin`.

    Raises RequestError: nothing is there, or it cannot be read.
    """
    if not where:
        return Usual(sources)
    if where in TARGETS:
        row = next(row for name, row in TARGETS.items() if name == where)
        if row.file and sources[0].folder is not None:
            return open_origin(str(sources[0].folder / row.file), sources, column)
        return Elsewhere(open_target(where, None, sources))
    path = Path(where)
    if path.is_dir():
        kinds = {each.suffix.lower() for _, _, names in os.walk(path) for each in map(Path, names)}
        kind = "webdataset" if ".tar" in kinds else "txt" if ".txt" in kinds else "caption"
        return Elsewhere(open_target(kind, path, sources))
    if not path.exists():
        raise RequestError(f"{where}: no such file or folder; {PLACES} are what can be beside the pictures")
    if path.suffix.lower() not in _TABLES:
        raise RequestError(f"{where}: is no table of texts; give a folder, or a file that ends in {', '.join(_TABLES)}")
    return Table(path, sources, column)


def caption_column(path: Path) -> str:
    """The column of a table that holds its captions, `text` where nothing tells. Raises RequestError."""
    if not path.is_file():
        return _CAPTIONS[0]
    storage, address = storage_of(str(path))
    row = next(read_rows(storage, address), {})
    return next((name for name in _CAPTIONS if name in row), _CAPTIONS[0])


def decoded(raw: str, encoding: str) -> str:
    """What somebody wrote in a file: without byte order mark and the white space around it.

    Args:
        raw: as a target gives it; bytes that are no UTF-8 are lone surrogates.
        encoding: of such bytes; "" where nobody said.

    Raises UnreadableTextError.
    """
    if is_utf8(raw) and "\0" not in raw:
        return text_of(raw)
    data = raw.encode("utf-8", "surrogateescape") if _is_bytes(raw) else b""
    try:
        if data.startswith(_UTF16):
            return data.decode("utf-16").strip()
        if encoding and data:
            return text_of(data.decode(encoding))
    except ValueError as error:
        raise UnreadableTextError(f"its caption cannot be read ({error})") from error
    if is_utf8(raw):
        return text_of(raw)
    raise UnreadableTextError("its caption is not UTF-8; say what it is with --encoding, such as cp1252")


def _is_bytes(raw: str) -> bool:
    try:
        raw.encode("utf-8", "surrogateescape")
    except UnicodeEncodeError:  # half a surrogate pair, which JSON may hold
        return False
    return True


def _rows(path: Path, column: str) -> Iterator[tuple[str, str]]:
    """Names and texts of a table; of two rows with one name the last counts."""
    if path.suffix.lower() == ".json":
        yield from ((_name(name), text) for name, row in _objects(path) if (text := _text(row, column)) is not None)
        return
    storage, address = storage_of(str(path))
    name_column = ""
    for row in read_rows(storage, address):
        name_column = name_column or next((name for name in _NAMES if name in row), "")
        if not name_column:
            there = ", ".join(map(str, row)) or "none"
            raise RequestError(f"{path}: has no column for names such as {_NAMES[0]}, only {there}")
        name, text = row.get(name_column), _text(row, column)
        if isinstance(name, str) and text is not None:
            yield _name(name), text


def _objects(path: Path) -> Iterator[tuple[str, Mapping[str, Any]]]:
    return json_object_rows(path).others(frozenset())


def _text(row: Mapping[str, Any], column: str) -> str | None:
    if column and column in row:
        return _cell(row[column])
    text = next((cell for name in _CAPTIONS if (cell := _cell(row.get(name))) is not None), None)
    tags = _tags(row.get("tags"))
    return text if not tags else tags if not text else f"{text}, {tags}"


def _cell(value: Any) -> str | None:
    if isinstance(value, list):
        texts = [each for each in value if isinstance(each, str)]
        return "\n".join(texts) if texts else None
    return value if isinstance(value, str) else None


def _tags(value: Any) -> str:
    """Tags in any of the forms that tables have: one text, a list of texts, or of objects with a text."""
    if not isinstance(value, list):
        return value if isinstance(value, str) else ""
    texts = [each.get("text") if isinstance(each, Mapping) else each for each in value]
    return ", ".join(each for each in texts if isinstance(each, str) and each)


def _name(name: str) -> str:
    """A name with `/` between its parts, wherever it was written."""
    if "\\" in name and "/" not in name:
        return name.replace("\\", "/")
    return name.removeprefix("./")


def captions_are_in(sources: Sequence[Source], out: object, writes: bool = True) -> tuple[str, str | None]:
    """The kind of target where the captions of the sources are, and its file if that has another name than usual.

    writes: whether they are to be written there; else it is enough that they can be read.

    Raises RequestError: pictures in tars or tables, whose captions cannot be written where they are.
    """
    first = sources[0]
    if first.kind in ("webdataset", "parquet"):
        if not writes:
            return "jsonl", None
        raise RequestError(
            f"{first.uri}: captions inside {'tars' if first.kind == 'webdataset' else 'tables'} stay as they are; "
            "say where the edited ones go, such as --out DIR with --target txt, "
            + ("webdataset (tars to be read beside these)" if first.kind == "webdataset" else "parquet")
        )
    if out is not None or first.folder is None or len(sources) > 1:
        return "txt", None
    if first.kind == "imagefolder":
        return _metadata_of(first.folder)
    for item in first.items():
        for ending in _BESIDE:
            path = first.sidecar(item, ending)
            if path is not None and path.exists():
                return ending[1:], None
    tables = (kind for kind, row in TARGETS.items() if row.file and (first.folder / row.file).exists())
    return next(tables, "txt"), None


def _metadata_of(folder: Path) -> tuple[str, str | None]:
    """As `captions_are_in`, of an imagefolder. Raises RequestError: its metadata is of a kind that is not written."""
    if (folder / METADATA_FILES["jsonl"]).exists():
        return "jsonl", None
    if (folder / METADATA_FILES["csv"]).exists():
        return "csv", str(folder / METADATA_FILES["csv"])
    for kind, name in METADATA_FILES.items():
        if next(metadata_in(folder, (name,)), None) is not None:
            return kind, None
    raise RequestError(
        f"{folder}: its captions are in metadata.parquet, which is not written; say with --target and --out where the "
        "edited ones go"
    )
