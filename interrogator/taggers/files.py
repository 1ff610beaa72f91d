"""The files of a tagger: which of those in a folder, or beside an ONNX file, make it up."""

from __future__ import annotations

import os
from collections.abc import Iterable
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any

from ..errors import ModelLoadError, ModelNotFoundError
from ..paths import given_path
from .layouts import LAYOUTS, Layout
from .preprocess import PREPROCESS_FILE
from .text_files import check_not_pointer, read_json

TIMM_WEIGHTS = "model.safetensors"
_CONFIG = "config.json"


@dataclass(frozen=True)
class TaggerFiles:
    """What a tagger is made of.

    Attributes:
        folder: where its files are.
        weights: an ONNX file, or safetensors of a timm model.
        table: the vocabulary.
        config: timm's configuration; None for an ONNX file.
        preprocess: how pictures go in; None where the family's layout says so.
    """

    folder: Path
    weights: Path
    table: Path
    config: Path | None = None
    preprocess: Path | None = None


def find_files(family: str, name: str, folder: Path | None, *, checkpoint: Any = None, **_: Any) -> TaggerFiles | None:
    """The files of a tagger of a family, in a folder or, where the name is that of an ONNX file, beside it.

    None: the name is neither, or the file is of another family.

    Raises:
        ModelNotFoundError: files are missing; says which.
        ModelLoadError: a checkpoint was named, or a file stands in place of another.
    """
    if checkpoint is not None:
        raise ModelLoadError(f"{name} has its own weights; use a checkpoint with an architecture such as ViT-L-14")
    layout = LAYOUTS[family]
    if folder is not None:
        return _in_folder(folder, layout)
    path = Path(name) if "://" in name else given_path(name)
    if path.suffix.lower() != ".onnx" or not os.path.isfile(path):
        return None
    table = _first(path.parent, _beside(path, layout))
    if table is None:
        others = [each for known in LAYOUTS.values() for each in _beside(path, known)]
        if _first(path.parent, others) is None:
            raise ModelNotFoundError(
                f"{path} has no table of its tags beside it: put {path.stem}.csv or selected_tags.csv there"
            )
        return None
    return _checked(TaggerFiles(path.parent, path, table, preprocess=_first(path.parent, [PREPROCESS_FILE])))


def _in_folder(folder: Path, layout: Layout) -> TaggerFiles:
    table = _first(folder, layout.tables)
    if table is None:
        raise ModelNotFoundError(f"the folder {folder} lacks {' or '.join(layout.tables)}")
    preprocess = _first(folder, [PREPROCESS_FILE])
    config = _timm_config(folder) if layout.timm is not None else None
    if config is not None and (folder / TIMM_WEIGHTS).is_file():
        return _checked(TaggerFiles(folder, folder / TIMM_WEIGHTS, table, config, preprocess))
    weights = _first(folder, layout.weights)
    if weights is None:
        wanted = [TIMM_WEIGHTS] if config is not None else []
        if layout.timm is not None and (folder / TIMM_WEIGHTS).is_file():
            wanted = [f"{_CONFIG} of a timm model"]
        raise ModelNotFoundError(f"the folder {folder} lacks {' or '.join([*wanted, *layout.weights])}")
    return _checked(TaggerFiles(folder, weights, table, preprocess=preprocess))


def _checked(files: TaggerFiles) -> TaggerFiles:
    for path in (files.weights, files.table):
        check_not_pointer(path)
    return files


def _timm_config(folder: Path) -> Path | None:
    path = folder / _CONFIG
    if not path.is_file():
        return None
    content = read_json(path)
    return path if isinstance(content, dict) and "architecture" in content else None


def _beside(path: Path, layout: Layout) -> list[str]:
    return [name.format(path.stem) for name in layout.beside]


def _first(folder: Path, names: Iterable[str]) -> Path | None:
    return next((folder / name for name in names if (folder / name).is_file()), None)


# What the rows of the catalog name: one a family.
find_wd_tagger = partial(find_files, "wd-tagger")
find_cl_tagger = partial(find_files, "cl-tagger")
find_camie_tagger = partial(find_files, "camie-tagger")
find_joytag = partial(find_files, "joytag")
