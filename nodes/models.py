"""Models in the care of ComfyUI: found in its folders, kept for the next run, moved by its memory management."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from pathlib import Path
from typing import TYPE_CHECKING, Any

from .. import interrogator
from ..interrogator import catalog, registry
from . import host, missing
from .addresses import permitted
from .hosted import hosted, tell

if TYPE_CHECKING:
    import torch

    from ..interrogator.catalog import Preset, Role
    from ..interrogator.models import Located, Model

# Models of each role that stay loaded; ComfyUI may still move them out of the device's memory.
_KEPT = 2


def _load_to(located: Located) -> torch.device:
    """Where a model is loaded: where models wait, or where it computes if a runtime of its own keeps its weights."""
    weights = getattr(located.parts, "weights", None)
    return host.load_device() if str(weights).endswith(".onnx") else host.offload_device()


def _reload(model: Model) -> Callable[[], Model]:
    """What loads a model again, as it was."""
    origin, dtype = model.origin, model.dtype
    return lambda: registry.load(origin, device=_load_to(origin), dtype=dtype)


POOL = interrogator.ModelPool(keep=_KEPT, on_device=None, wrap=lambda model: hosted(model, _reload), load_to=_load_to)
"""Loaded models, kept for the next run; ComfyUI moves them."""


def load(
    role: Role, name: str, *, precision: str = "auto", download: bool, node_id: str | None, frees: bool = False
) -> Any:  # fmt: skip
    """A model from `names`, loaded now or in an earlier run.

    Args:
        node_id: the node that shows the progress of a download.
        frees: let go of the model after each run.

    Raises:
        InterrogatorError: it is not on disk and may not be downloaded, or its files are not such a model.
        ValueError: it is the address of a server that graphs must not name.
    """
    name = permitted(name)
    with missing.named_together([] if download else [(role, name)]), missing.folders_of(role):
        found = POOL.load(
            role, _source(role, name), dtype=_dtype(role, name, precision), download=download,
            progress=host.download_progress(node_id, name),
        )  # fmt: skip
    return _kept(found, name, frees)


def _kept(found: Any, name: str, frees: bool) -> Any:
    """The model as a node asked for it, and the front end is told of it."""
    found.weights.asked_as = name
    tell()
    return found.freed_after_run() if frees else found


def load_preset(
    row: Preset, needs: Iterable[str], *, download: bool, node_id: str | None, frees: bool = False
) -> dict[Role, Any]:  # fmt: skip
    """The models of a preset by role, those that are needed. Raises as `load`, and where the preset lacks one."""
    names: dict[Role, str] = {}
    for role in catalog.ROLES:
        if role in needs:
            name = row.model(role)
            if name is None:
                raise ValueError(f"Preset {row.name} has no {role}: connect one, or choose another preset or mode.")
            names[role] = name
    with missing.named_together([] if download else names.items()):
        return {role: load(role, name, download=download, node_id=node_id, frees=frees) for role, name in names.items()}


def names(role: Role) -> list[str]:
    """The models that a loader offers: the catalog's for a role, and those in ComfyUI's folders."""
    known = [row.name for row in catalog.MODELS if row.role == role]
    return list(dict.fromkeys([*known, *_on_disk(role)]))


def preset_names() -> list[str]:
    """The presets that nodes offer."""
    return [row.name for row in catalog.PRESETS]


def embedding_cache() -> Any:
    """The text embeddings kept between runs."""
    return interrogator.EmbeddingCache(host.embeddings_folder())


def _on_disk(role: Role) -> dict[str, Path]:
    folders = host.model_folders(role)
    found = registry.on_disk(role, folders)
    return {**found, **_flat_taggers(folders)} if role == "tagger" else found


def _flat_taggers(folders: Iterable[Path]) -> dict[str, Path]:
    """Taggers that are two files in a folder of many, NAME.onnx and NAME.csv: what ComfyUI-WD14-Tagger downloads."""
    found: dict[str, Path] = {}
    for folder in folders:
        for path in sorted(folder.glob("*.onnx")):  # nothing where there is no such folder
            if path.with_suffix(".csv").is_file():
                found.setdefault(f"{folder.name}/{path.name}", path)
    return found


def _source(role: Role, name: str) -> str:
    """The name by which the library loads a model: this name, or the folder it stands for."""
    if catalog.known_model(role, name) is not None:
        return name
    return str(_on_disk(role).get(name, name))


def _dtype(role: Role, name: str, precision: str) -> str:
    """The number format for a model; `auto` is ComfyUI's choice unless the catalog has one for this model."""
    row = catalog.known_model(role, name)
    if precision == "auto" and row is not None and row.dtype != "auto":
        return row.dtype
    return host.precision(precision)
