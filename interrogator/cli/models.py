"""`interrogator models`."""

from __future__ import annotations

import argparse

from .. import hub
from ..catalog import MODELS, PRESETS
from ..registry import folder_of
from .terminal import put, put_json


def list_models(args: argparse.Namespace) -> int:
    """Each known model: role and family, what it is for, and whether its files are on this machine."""
    for model in MODELS:
        folder = folder_of(model)
        presets = [row.name for row in PRESETS if model.name == row.model(model.role)]
        if args.json:
            put_json(
                {
                    "model": model.name, "role": model.role, "family": model.family,
                    "architecture": model.architecture, "source": model.source,
                    "size_mb": model.size_mb, "licence": model.licence, "use": model.use, "presets": presets,
                    "on_disk": folder is not None, "folder": None if folder is None else str(folder),
                }
            )  # fmt: skip
            continue
        put(f"{model.name}\n    {model.role}, family {model.family} ({model.architecture})")
        put(f"    {model.use}" + (f"; presets {', '.join(presets)}" if presets else ""))
        put(f"    {model.size}, licence {model.licence}")
        put(f"    on disk: {folder}" if folder else f"    not on disk; its folder is {hub.local_folder(model.source)}")
    return 0


def models_path(args: argparse.Namespace) -> int:
    """The folder where models are looked for."""
    put(str(hub.models_dir()))
    return 0
