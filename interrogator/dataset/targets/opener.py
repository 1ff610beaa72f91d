"""From a kind and an address to a target."""

from __future__ import annotations

import os
from collections.abc import Sequence
from functools import partial
from os import PathLike
from pathlib import Path

from ...dataset_choices import TARGETS
from ...errors import RequestError
from ..sources.io.storage import is_url
from ..sources.source import Source
from .captions_json import CaptionsJsonTarget
from .metadata_tables import METADATA_FILES, MetadataTables, metadata_in
from .options import DEFAULT_OPTIONS, TargetOptions
from .parquet import COLUMNS, ParquetTarget
from .placed import PlacedNames
from .repack import RepackTarget
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
    options: TargetOptions = DEFAULT_OPTIONS,
) -> Target:
    """Open the files that captions of the sources' pictures go to.

    Args:
        kind: a key of `TARGETS`.
        out: the folder, or the file itself for those of one file; None is beside the pictures. Nothing is made yet.
        sources: those of the run, each with a `number` of its own.
        column: the caption's, in jsonl, csv and parquet; kohya's files have captions, unless it is `tags`.
        several: write all captions of a picture where the kind can (not csv); parquet always does.
        options: how they are written.

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
    options.check(kind, out)
    if format.beside_pictures:
        return _sidecars(kind, None if out is None else Path(out), sources, several, options.final_newline)
    if kind in _FILES_OF_MANY:
        return _FILES_OF_MANY[kind](out, sources, several, options)
    _check_column(kind, column, options.name_column)
    path = _file(format.file, out, sources)
    if _is_metadata(kind, path, sources, options):
        is_flat = any(source.kind not in ("folder", "imagefolder") for source in sources) and options.images is None
        names_in = partial(_names, sources, options, path.parent, out is None)
        return MetadataTables(kind, path.parent, names_in, column, several, has_more=not is_flat)
    return _table(kind, path, out is None, sources, column, several, options)


def _table(
    kind: str, path: Path, beside: bool, sources: Sequence[Source], column: str, several: bool, options: TargetOptions
) -> Target:  # fmt: skip
    """One file for all captions. beside: it is in the folder of the pictures."""
    names = _names(sources, options, path.parent, beside, path.parent)
    if kind == "parquet":
        return ParquetTarget(path, names, column)
    if kind == "csv":
        return Csv(kind, path, names, column, False, options)
    if kind == "jsonl":
        return MetadataJsonl(kind, path, names, column, several, options)
    if options.images is None:
        names = _names(sources, options, path.parent, False, sources[0].folder or path.parent)
    table = KohyaJson if kind == "kohya-json" else KohyaJsonl
    return table(kind, path, names, "tags" if column == "tags" else "caption", several, options)


def _is_metadata(kind: str, path: Path, sources: Sequence[Source], options: TargetOptions) -> bool:
    """Whether the target is the metadata of an imagefolder, of which there may be several files."""
    if kind not in METADATA_FILES or options.paths != "relative" or options.name_column not in ("", "file_name"):
        return False
    if kind == "jsonl":
        return path.name == METADATA_FILES[kind]
    if path.name != TARGETS["csv"].file:
        return False
    is_deep = any(source.kind == "imagefolder" for source in sources)
    return next(metadata_in(path.parent, (METADATA_FILES["csv"],), is_deep), None) is not None


def _names(
    sources: Sequence[Source], options: TargetOptions, pictures: Path, pictures_inside: bool, folder: Path
) -> Names:  # fmt: skip
    """What pictures are called in a table of this folder. pictures: the folder that they are brought to, if any."""
    if options.images is not None:
        return PlacedNames(sources, pictures, options.paths, folder)
    return Names(sources, folder, pictures_inside and options.paths == "relative", options.paths)


def _sidecars(
    kind: str, out: Path | None, sources: Sequence[Source], several: bool, final_newline: bool
) -> Target:  # fmt: skip
    if out is None:
        for source in sources:
            if source.folder is None or source.kind in ("webdataset", "parquet"):
                raise RequestError(
                    f"{source.uri}: captions cannot be written beside its pictures; give a folder for them"
                )
    elif out.exists() and not out.is_dir():
        raise RequestError(f"{out}: is not a folder")
    return SidecarTarget(kind, Names(sources, out or Path()), out, several, final_newline)


def _tars(
    out: str | PathLike[str] | None, sources: Sequence[Source], several: bool, options: TargetOptions
) -> Target:  # fmt: skip
    if out is None:
        raise RequestError("tars with captions need their own folder: say where they go")
    names = Names(sources, Path(out))
    if options.repack:
        return RepackTarget(Path(out), names, several, options.tar_size)
    return WebdatasetTarget(Path(out), names, several)


def _captions_json(
    out: str | PathLike[str] | None, sources: Sequence[Source], several: bool, options: TargetOptions
) -> Target:  # fmt: skip
    if options.images is not None and out is not None:
        return CaptionsJsonTarget(Path(out), _names(sources, options, Path(out), False, Path(out)))
    if out is not None:
        raise RequestError(
            "captions.json is read in the folder of its pictures only; leave out the folder for captions, or bring the "
            "pictures there (--copy-images or --link-images)"
        )
    folder = sources[0].folder
    if folder is None or len(sources) > 1 or sources[0].kind in ("webdataset", "parquet"):
        raise RequestError(
            f"{sources[0].uri}: captions.json cannot be written beside its pictures; name one folder of pictures, "
            "choose another target, or copy the pictures (--copy-images with --out)"
        )
    return CaptionsJsonTarget(folder, Names(sources, folder))


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


def _check_column(kind: str, column: str, name_column: str) -> None:
    if kind in ("kohya-json", "kohya-jsonl"):
        return
    if not column.strip() or column == "file_name" or column.endswith(("_file_name", "_file_names")):
        raise RequestError(f"{column!r} cannot be the caption column: readers take it for a file name")
    if column in ("image", name_column):
        raise RequestError(f"{column!r} cannot be the caption column: readers have the picture under this name")
    if kind == "parquet" and column in COLUMNS:
        raise RequestError(f"{column!r} cannot be the caption column: the parquet file has another column of this name")
