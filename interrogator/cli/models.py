"""`interrogator models`."""

from __future__ import annotations

import argparse

from .. import hub
from ..captioners import BLIP_FILES
from ..catalog import MODELS, PRESETS, Model
from ..encoders.sources import WEIGHT_FILES
from .terminal import put, put_json


def list_models(args: argparse.Namespace) -> int:
    """Each known model with what it is for and whether its files are on this machine."""
    for model in MODELS:
        folder = _on_disk(model)
        presets = [row.name for row in PRESETS if model.name in (row.captioner, row.encoder)]
        if args.json:
            put_json(
                {
                    "model": model.name, "kind": model.kind, "family": model.family, "source": model.source,
                    "size_mb": model.size_mb, "licence": model.licence, "use": model.use, "presets": presets,
                    "folder": folder,
                }
            )  # fmt: skip
        else:
            here = folder or f"not on disk; put its files into {hub.local_folder(model.source)}"
            put(f"{model.name}\n    {model.kind}, {model.family}, {model.size}, {model.licence}")
            put(f"    {model.use}" + (f"; presets {', '.join(presets)}" if presets else "") + f"\n    {here}")
    return 0


def models_path(args: argparse.Namespace) -> int:
    """The folder that model files may be put in."""
    put(str(hub.models_dir()))
    return 0


def _on_disk(model: Model) -> str | None:
    files = BLIP_FILES if model.kind in ("captioner", "matcher") else hub.FileSet(any_of=(WEIGHT_FILES,))
    folder = hub.find_files(model.source, required=files.required, any_of=files.any_of)
    return None if folder is None else str(folder)
