"""Where the texts of an edit come from: the target, the source itself, files beside the pictures, or elsewhere."""

from __future__ import annotations

import codecs
import os
from collections.abc import Sequence
from contextlib import suppress
from pathlib import Path
from typing import Protocol

from ...dataset_choices import TARGETS
from ...errors import InterrogatorError, RequestError
from ..existing.tables import Table
from ..records import Item
from ..sources import Source
from ..targets import Target, TargetOptions, open_target, text_of
from ..targets.captions_json import FILE as CAPTIONS_JSON
from ..targets.metadata_tables import METADATA_FILES, metadata_in
from ..targets.sidecars import SIDECAR_ENDINGS
from ..targets.target import is_utf8

PLACES = ", ".join(TARGETS)
"""The kinds of files beside the pictures that texts are read from."""

_TABLES = (".jsonl", ".json", ".csv", ".parquet")
_UTF16 = (codecs.BOM_UTF16_LE, codecs.BOM_UTF16_BE)


class UnreadableTextError(InterrogatorError):
    """A text is not UTF-8, and nobody said what else it is."""


class Origin(Protocol):
    """Where the text of a picture is."""

    def text(self, item: Item, there: str | None) -> str | None:
        """The text of a picture, exactly as it stands, given the one that the run finds, `there`; None for none."""


class Usual:
    """What the run finds of every picture: in the target, else in its source or beside it."""

    def text(self, item: Item, there: str | None) -> str | None:
        return there


class Elsewhere:
    """Files as a target writes them: those of another kind beside the pictures, a folder of texts, or tars."""

    def __init__(self, target: Target) -> None:
        self._target = target

    def text(self, item: Item, there: str | None) -> str | None:
        return self._target.existing(item)


def open_origin(where: str, sources: Sequence[Source], column: str = "") -> Origin:
    """Where an edit's texts come from; see `Edit.origin`.

    Raises RequestError: nothing is there, or it cannot be read.
    """
    if not where:
        return Usual()
    if where in TARGETS:
        row = next(row for name, row in TARGETS.items() if name == where)
        if row.file and sources[0].folder is not None:
            return open_origin(str(sources[0].folder / row.file), sources, column)
        return Elsewhere(open_target(where, None, sources))
    path = Path(where)
    if path.is_dir():
        names = {name.lower() for _, _, names in os.walk(path) for name in names}
        if CAPTIONS_JSON in names:  # which lie beside pictures, copies of ours perhaps
            return Elsewhere(open_target("captions-json", path, sources, options=TargetOptions(images="copy")))
        kinds = {Path(name).suffix for name in names}
        kind = "webdataset" if ".tar" in kinds else "txt" if ".txt" in kinds else "caption"
        return Elsewhere(open_target(kind, path, sources))
    if not path.exists():
        raise RequestError(f"{where}: no such file or folder; {PLACES} are what can be beside the pictures")
    if path.suffix.lower() not in _TABLES:
        raise RequestError(f"{where}: is no table of texts; give a folder, or a file that ends in {', '.join(_TABLES)}")
    return Table(path, sources, column)


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
            "webdataset (tars with captions) or webdataset with --repack (tars with captions and their pictures)"
        )
    if out is not None or first.folder is None or len(sources) > 1:
        return "txt", None
    if first.kind == "imagefolder":
        return _metadata_of(first.folder)
    for item in first.items():
        for ending in SIDECAR_ENDINGS:
            path = first.sidecar(item, ending)
            if path is not None and path.exists():
                return ending[1:], None
    tables = (kind for kind, row in TARGETS.items() if row.file and (first.folder / row.file).exists())
    found = next(tables, "")
    with suppress(RequestError):  # somebody else's file of this name
        if not found and open_target("captions-json", None, [first]).files():
            return "captions-json", None
    return found or "txt", None


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
