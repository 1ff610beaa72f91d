"""From a kind and a place to a target."""

from __future__ import annotations

import os
from collections.abc import Sequence
from os import PathLike
from pathlib import Path

from ...dataset_choices import TARGET_KINDS as KINDS
from ...dataset_choices import TargetKind as Kind
from ...errors import RequestError
from ..sources.io.storage import is_url
from ..sources.source import Source
from .parquet import COLUMNS, ParquetTarget
from .sidecars import SidecarTarget
from .target import Names, Target
from .text_tables import Csv, KohyaJson, KohyaJsonl, MetadataJsonl
from .webdataset import WebdatasetTarget

__all__ = ["KINDS", "Kind", "open_target"]

_FILES: dict[str, str] = {  # what the file of a kind is called where only its folder is given
    "jsonl": "metadata.jsonl",
    "kohya-json": "meta_cap.json",
    "kohya-jsonl": "meta_cap.jsonl",
    "csv": "captions.csv",
    "parquet": "captions.parquet",
}


def open_target(
    kind: str,
    out: str | PathLike[str] | None,
    sources: Sequence[Source],
    column: str = "text",
    several: bool = False,
) -> Target:
    """Open where captions of the sources' pictures go.

    Args:
        kind: `txt`, `caption`: a file for each picture; `jsonl`, `kohya-json`, `kohya-jsonl`, `csv`, `parquet`: one
            file for all; `webdataset`: tars parallel to the source's.
        out: the folder, or the file itself for those of one file; None is beside the pictures. Nothing is made yet.
        sources: those of the run; several are told apart by their `number`.
        column: the caption's, in jsonl, csv and parquet.
        several: write all captions of a picture where the kind can (not csv); parquet always does.

    Raises RequestError: no such kind, no place beside the pictures, a column that readers would take for something
    else, or a file is there already that cannot be read and so not be kept.
    """
    if kind not in KINDS:
        raise RequestError(f"unknown kind of target {kind!r}; choose from {', '.join(KINDS)}")
    if not sources or len({source.number for source in sources}) < len(sources):
        raise RequestError("a target needs sources, each with a number of its own")
    if out is not None and is_url(os.fspath(out)):
        raise RequestError(f"{os.fspath(out)}: captions are written to this machine only; copy them from there")
    if kind in ("txt", "caption"):
        return _sidecars(kind, None if out is None else Path(out), sources, several)
    if kind == "webdataset":
        if out is None:
            raise RequestError("tars with captions need a folder of their own")
        return WebdatasetTarget(Path(out), Names(sources, Path(out)), several)
    _check_column(kind, column)
    path = _file(kind, out, sources)
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
                raise RequestError(f"{source.uri}: has no place beside its pictures; give a folder for the captions")
    elif out.exists() and not out.is_dir():
        raise RequestError(f"{out}: is no folder")
    return SidecarTarget(kind, Names(sources, out or Path()), out, several)


def _file(kind: str, out: str | PathLike[str] | None, sources: Sequence[Source]) -> Path:
    name = _FILES[kind]
    if out is None:
        folder = sources[0].folder
        if folder is None or len(sources) > 1:
            raise RequestError(f"say where {name} goes: the pictures are in several places, or not on this machine")
        return folder / name
    path = Path(out)
    return path if path.suffix == Path(name).suffix and not path.is_dir() else path / name


def _check_column(kind: str, column: str) -> None:
    if kind in ("kohya-json", "kohya-jsonl"):
        return
    if not column.strip() or column == "file_name" or column.endswith(("_file_name", "_file_names")):
        raise RequestError(f"{column!r} cannot be the column of captions: readers take it for the name of a picture")
    if kind == "parquet" and column in COLUMNS:
        raise RequestError(f"{column!r} is a column of its own in the parquet file")
