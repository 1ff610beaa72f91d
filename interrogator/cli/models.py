"""`interrogator models`."""

from __future__ import annotations

import argparse

from .. import hub
from ..catalog import MODELS, PRESETS
from ..registry import folder_of
from .terminal import put, put_json


def list_models(args: argparse.Namespace) -> int:
    """Each known model with what it is for and whether its files are on this machine."""
    for model in MODELS:
        folder = folder_of(model)
        presets = [row.name for row in PRESETS if model.name == row.model(model.role)]
        if args.json:
            put_json(
                {
                    "model": model.name, "role": model.role, "family": model.family,
                    "architecture": model.architecture, "source": model.source,
                    "size_mb": model.size_mb, "licence": model.licence, "use": model.use, "presets": presets,
                    "folder": None if folder is None else str(folder),
                }
            )  # fmt: skip
        else:
            here = folder or f"not on disk; put its files into {hub.local_folder(model.source)}"
            put(f"{model.name}\n    {model.role}, {model.architecture}, {model.size}, {model.licence}")
            put(f"    {model.use}" + (f"; presets {', '.join(presets)}" if presets else "") + f"\n    {here}")
    return 0


def models_path(args: argparse.Namespace) -> int:
    """The folder that model files may be put in."""
    put(str(hub.models_dir()))
    return 0
