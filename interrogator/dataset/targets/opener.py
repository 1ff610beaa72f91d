"""From a kind and an address to a target."""

from __future__ import annotations

import os
from collections.abc import Sequence
from os import PathLike
from pathlib import Path

from ...dataset_choices import TARGETS
from ...errors import RequestError
from ..sources.io.storage import is_url
from ..sources.source import Source
from .captions_json import CaptionsJsonTarget
from .parquet import COLUMNS, ParquetTarget
from .sidecars import SidecarTarget
from .target import Names, Target
from .text_tables import Csv, KohyaJson, KohyaJsonl, MetadataJsonl
from .webdataset import WebdatasetTarget


def open_target(
    kind: str,
    out: str | PathLike[str] | None,
    sources: Sequence[Source],
    column: str = "text",
    several: bool = False,
) -> Target:
    """Open the files that captions of the sources' pictures go to.

    Args:
        kind: a key of `TARGETS`.
        out: the folder, or the file itself for those of one file; None is beside the pictures. Nothing is made yet.
        sources: those of the run, each with a `number` of its own.
        column: the caption's, in jsonl, csv and parquet.
        several: write all captions of a picture where the kind can (not csv); parquet always does.

    Raises RequestError: an unknown kind, pictures that no file can be beside, a column that readers would take for
    something else, or an existing file that cannot be read and so would lose its content.
    """
    format = next((row for name, row in TARGETS.items() if name == kind), None)
    if format is None:
        raise RequestError(f"unknown target {kind!r}; choose from {', '.join(TARGETS)}")
    if not sources or len({source.number for source in sources}) < len(sources):
        raise RequestError("a target needs at least one source, and each source its own number")
    if out is not None and is_url(os.fspath(out)):
        raise RequestError(f"{os.fspath(out)}: captions are written to this machine only; give a local folder")
    if format.beside_pictures:
        return _sidecars(kind, None if out is None else Path(out), sources, several)
    if kind in _FILES_OF_MANY:
        return _FILES_OF_MANY[kind](out, sources, several)
    _check_column(kind, column)
    path = _file(format.file, out, sources)
    if kind == "parquet":
        return ParquetTarget(path, Names(sources, path.parent), column)
    names = Names(sources, path.parent, pictures_inside=out is None)
    if kind == "csv":
        return Csv(kind, path, names, column, several=False)
    if kind == "jsonl":
        return MetadataJsonl(kind, path, names, column, several)
    folder = sources[0].folder or path.parent
    table = KohyaJson if kind == "kohya-json" else KohyaJsonl
    return table(kind, path, Names(sources, folder), "caption", several)


def _sidecars(kind: str, out: Path | None, sources: Sequence[Source], several: bool) -> Target:
    if out is None:
        for source in sources:
            if source.folder is None or source.kind in ("webdataset", "parquet"):
                raise RequestError(
                    f"{source.uri}: captions cannot be written beside its pictures; give a folder for them"
                )
    elif out.exists() and not out.is_dir():
        raise RequestError(f"{out}: is not a folder")
    return SidecarTarget(kind, Names(sources, out or Path()), out, several)


def _tars(out: str | PathLike[str] | None, sources: Sequence[Source], several: bool) -> Target:
    if out is None:
        raise RequestError("tars with captions need their own folder: say where they go")
    return WebdatasetTarget(Path(out), Names(sources, Path(out)), several)


def _captions_json(out: str | PathLike[str] | None, sources: Sequence[Source], several: bool) -> Target:
    if out is not None:
        raise RequestError(
            "captions.json is read in the folder of its pictures only; leave out the folder for captions"
        )
    for source in sources:
        if source.folder is None or source.kind in ("webdataset", "parquet"):
            raise RequestError(
                f"{source.uri}: captions.json cannot be written beside its pictures; choose another target"
            )
    roots = [source.folder for source in sources if source.folder is not None]
    return CaptionsJsonTarget(roots, Names(sources, roots[0]))


_FILES_OF_MANY = {"webdataset": _tars, "captions-json": _captions_json}
"""Kinds that write several files, each with many captions."""


def _file(name: str, out: str | PathLike[str] | None, sources: Sequence[Source]) -> Path:
    if out is None:
        folder = sources[0].folder
        if folder is None or len(sources) > 1:
            raise RequestError(f"say where {name} goes: the pictures are in several folders, or not on this machine")
        return folder / name
    path = Path(out)
    return path if path.suffix == Path(name).suffix and not path.is_dir() else path / name


def _check_column(kind: str, column: str) -> None:
    if kind in ("kohya-json", "kohya-jsonl"):
        return
    if not column.strip() or column == "file_name" or column.endswith(("_file_name", "_file_names")):
        raise RequestError(f"{column!r} cannot be the caption column: readers take it for a file name")
    if kind == "parquet" and column in COLUMNS:
        raise RequestError(f"{column!r} cannot be the caption column: the parquet file has another column of this name")
