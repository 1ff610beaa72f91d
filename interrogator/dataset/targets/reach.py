"""Whether readers find the pictures by what a target calls them."""

from __future__ import annotations

import os
from collections.abc import Sequence
from itertools import islice
from pathlib import Path

from ...dataset_choices import TARGETS
from ...errors import RequestError
from ..sources.source import Source
from .options import NAMED_TABLES, TargetOptions

_BY_FILE_NAME = ("jsonl", "csv")  # kohya's tables name pictures elsewhere by their whole paths
_LOOKED_AT = 100  # pictures of a table or tar


def check_reach(
    kind: str, out: str | os.PathLike[str] | None, sources: Sequence[Source], options: TargetOptions
) -> None:
    """Raises RequestError: nobody would find the pictures by their names, or they cannot go where they are to."""
    for source in sources:
        if options.images is not None and out is not None:
            _check_placement(Path(out), source, options)
        elif kind in NAMED_TABLES and options.paths != "key":
            _check_names(kind, None if out is None else Path(out), source, options)


def folder_of(out: Path) -> Path:
    """The folder that `out` means, which may be a file in it."""
    is_file = out.suffix in {Path(row.file).suffix for row in TARGETS.values() if row.file} and not out.is_dir()
    return out.parent if is_file else out


def _check_placement(out: Path, source: Source, options: TargetOptions) -> None:
    if options.images == "link" and (source.folder is None or _is_packed(source)):
        raise RequestError(f"{source.uri}: its pictures are no files that links could lead to; use --copy-images")
    is_walked = source.folder is not None and source.kind in ("folder", "imagefolder")
    if is_walked and source.folder is not None and _is_inside(folder_of(out), source.folder):
        raise RequestError(
            f"{out}: lies in the source, so that pictures put there would become pictures of the source, too; give "
            "a folder elsewhere, or leave out copying and linking"
        )


def _check_names(kind: str, out: Path | None, source: Source, options: TargetOptions) -> None:
    file = next(row.file for name, row in TARGETS.items() if name == kind)
    paths = _paths(source)
    if None in paths:
        raise RequestError(
            f"{source.uri}: its pictures are not files of this machine, so nobody finds them by the names in {file}; "
            "choose one: copy them beside it (--copy-images with --out), target webdataset or parquet, or names for "
            "programs of your own (--paths key)"
        )
    if out is None or kind not in _BY_FILE_NAME or options.paths == "absolute":
        return
    inside = os.path.join(os.path.abspath(folder_of(out)), "")
    if not all(os.path.join(os.path.abspath(path), "").startswith(inside) for path in paths if path is not None):
        raise RequestError(
            f"{out}: {file} there could not name the pictures, which are not in that folder; choose one: write it "
            "beside them (no --out), bring them there (--copy-images or --link-images), or name their whole paths "
            "(--paths absolute)"
        )


def _paths(source: Source) -> list[Path | None]:
    """Where pictures are on this machine: the folder of all, or each of a list; of a table only the first few."""
    if source.folder is None:
        return [None]
    if source.kind in ("folder", "imagefolder"):
        return [source.folder]
    if _is_packed(source):
        return [None]
    items = source.items() if source.kind == "list" else islice(source.items(), _LOOKED_AT)
    return [source.path(item) for item in items if not item.problem]


def _is_packed(source: Source) -> bool:
    """Whether the pictures are in tars or tables, by the first of them."""
    if not source.containers:
        return False
    first = next((item for item in islice(source.items(), _LOOKED_AT) if not item.problem), None)
    return first is not None and bool(source.container(first))


def _is_inside(path: Path, folder: Path) -> bool:
    """Whether a path is a folder or in it, as they are written or where their links lead."""
    spellings = ((os.path.abspath(path), os.path.abspath(folder)), (os.path.realpath(path), os.path.realpath(folder)))
    return any(one == other or one.startswith(os.path.join(other, "")) for one, other in spellings)
