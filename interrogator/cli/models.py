"""`interrogator models`."""

from __future__ import annotations

import argparse
from pathlib import Path

from .. import hub
from ..catalog import MODELS, PRESETS, KnownModel, in_words
from ..registry import folder_of
from .terminal import put, put_json


def list_models(args: argparse.Namespace) -> int:
    """Each known model: role and family, what it is for and takes, and whether its files are on this machine."""
    for model in MODELS:
        if args.role in (None, model.role):
            (_put_json if args.json else _put)(model, folder_of(model))
    return 0


def models_path(args: argparse.Namespace) -> int:
    """The folder where models are looked for."""
    put(str(hub.models_dir()))
    return 0


def _put_json(model: KnownModel, folder: Path | None) -> None:
    put_json(
        {
            "model": model.name, "role": model.role, "family": model.family, "architecture": model.architecture,
            "source": model.source, "size_mb": model.size_mb, "stored": model.stored,
            "memory_mb": {dtype: model.memory_mb(dtype) for dtype in _dtypes(model)}, "licence": model.licence,
            "gated": model.gated, "commercial": model.commercial, "use": model.use, "presets": _presets(model),
            "on_disk": folder is not None, "folder": None if folder is None else str(folder),
        }
    )  # fmt: skip


def _put(model: KnownModel, folder: Path | None) -> None:
    presets = _presets(model)
    put(f"{model.name}\n    {model.role}, family {model.family} ({model.architecture})")
    put(f"    {model.use}" + (f"; presets {', '.join(presets)}" if presets else ""))
    memory = ", ".join(f"{in_words(model.memory_mb(dtype))} in {dtype}" for dtype in _dtypes(model))
    put(f"    download {model.size}, memory about {memory} (estimated), licence {model.terms}")
    put(f"    on disk: {folder}" if folder else f"    not on disk; its folder is {hub.local_folder(model.source)}")


def _presets(model: KnownModel) -> list[str]:
    return [row.name for row in PRESETS if model.name == row.model(model.role)]


def _dtypes(model: KnownModel) -> tuple[str, ...]:
    """The dtypes that it may run in; bf16 takes what fp16 takes."""
    return ("fp32", "fp16") if model.dtype == "auto" else (model.dtype,)
