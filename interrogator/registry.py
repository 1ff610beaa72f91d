"""The only place where a name becomes a model.

    located = locate("captioner", "Salesforce/blip-image-captioning-base", download=True)
    captioner = load(located, device="auto", dtype="auto")

A name is, in this order: a row of the catalog; a folder, whose marker names the family; a name of a family's own, such
as ARCH/TAG of open_clip; the id of a repository on the Hugging Face hub, of which the marker is fetched and read before
any weights are.
"""

from __future__ import annotations

import os
from os import PathLike
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypedDict, TypeVar, Unpack, cast

from . import catalog, hub
from .catalog import Family, KnownModel, Role
from .errors import ModelLoadError, ModelNotFoundError, UnknownModelError
from .hub import FileSet
from .markers import check_family, imported, is_of, marker_files, on_disk
from .models import Located
from .paths import given_path, is_folder, readable_models
from .progress import Progress

__all__ = [
    "load",
    "load_as",
    "load_captioner",
    "load_encoder",
    "load_matcher",
    "load_model",
    "load_tagger",
    "locate",
    "folder_of",
    "on_disk",
]

if TYPE_CHECKING:
    import torch

    from .models import Captioner, Encoder, Matcher, Model, Tagger

Kind = TypeVar("Kind")

LOCAL_DIR = "local-dir:"
"""open_clip's prefix of a folder. Names with it are understood; a folder needs none."""

_CHECKPOINT_SUFFIXES = (".safetensors", ".bin", ".pt", ".pth", ".ckpt", ".onnx")


@readable_models()
def locate(
    role: Role,
    name: str | PathLike[str],
    *,
    checkpoint: str | PathLike[str] | None = None,
    download: bool = False,
    progress: Progress | None = None,
    revision: str | None = None,
) -> Located:
    """Find all files of a model, which are found once: `load` looks for nothing.

    Args:
        role: captioner, tagger, matcher or encoder.
        name: a name in the catalog, a folder, a hub id, or a name of a family's own (`ViT-L-14/openai`, and of taggers
            `NAME.onnx` with its table of tags beside it).
        checkpoint: a weights file for an architecture that is named without weights.
        download: whether missing files may be fetched from the Hugging Face hub.
        progress: called with bytes done and bytes in all while downloading; may raise to cancel.
        revision: branch, tag or commit on the hub.

    Raises:
        UnknownModelError: no family knows the name.
        ModelNotFoundError: files are missing and may not be downloaded; names them and the folder for them.
        ModelLoadError: the files are of another kind of model, or may not be read. No weights were fetched or read.
        RequestError: nothing can be called so.
    """
    asked = str(name).strip()
    if not asked:
        raise UnknownModelError(_unknown(role, asked))
    row = catalog.known_model(role, asked)
    source = asked.removeprefix(LOCAL_DIR) if row is None else row.source
    folder = (Path(source) if "://" in source else given_path(source)) / (row.subfolder if row else "")
    fetch: dict[str, Any] = {"download": download, "progress": progress}
    if is_folder(folder):
        family = _expected(role, folder, row)
        if not family.finder:
            hub.fetch_files(
                str(folder), required=family.files.required, any_of=family.files.any_of, shards=family.files.shards
            )  # says what lacks
        return _located(role, asked, family, folder, checkpoint, fetch)
    if folder.suffix in _CHECKPOINT_SUFFIXES and os.path.isfile(folder):
        return _from_file(role, asked, folder, checkpoint, fetch)
    fetch["revision"] = revision or (row.revision if row else None)
    own = _by_own_name(role, asked, row, checkpoint, fetch)
    if own is None and "://" in asked:
        raise UnknownModelError(f"no {role} has an address: name a folder or a repository org/name")
    return own or _on_hub(role, asked, source, row, checkpoint, fetch)


def load(located: Located, *, device: str | torch.device = "auto", dtype: str | torch.dtype = "auto") -> Model:
    """Load a model that was located.

    Args:
        device: auto, cpu, cuda, cuda:1, mps …; see `devices.choose_device`.
        dtype: auto, fp32, bf16 or fp16; see `devices.choose_dtype`. On a CPU auto is fp32 for taggers.

    Raises:
        DeviceError: no such device or dtype here; raised before any file is read.
        ModelLoadError: the files are damaged, or lack a tensor. Nothing is ever left random.
    """
    from .checkpoints import first_line, unreadable
    from .configurations import check_sizes
    from .devices import choose_device, choose_dtype, is_out_of_memory

    row = catalog.known_model(located.role, located.name)
    asked = row.dtype if row is not None and dtype == "auto" else dtype
    chosen = choose_device(device)
    if located.role == "tagger" and asked == "auto" and chosen.type == "cpu":
        asked = "fp32"  # bf16 moves probabilities by a hundredth, and with them tags over their thresholds
    number_format = choose_dtype(asked, chosen)
    kind = imported(_family(located.family).loads[located.role])
    if located.folder is not None:
        check_sizes(located.folder)
    try:
        model: Model = kind.from_files(located, chosen, number_format)
    except unreadable() as error:
        if is_out_of_memory(error):
            raise
        raise ModelLoadError(
            f"the files of {located.name} are damaged or of another model: fetch them again"
            f" ({type(error).__name__}: {first_line(error)})"
        ) from error
    return model


class LoadOptions(TypedDict, total=False):
    """What every load takes beside the name.

    device, dtype: see `load`.  checkpoint, download, progress, revision: see `locate`.
    """

    device: str | torch.device
    dtype: str | torch.dtype
    checkpoint: str | PathLike[str] | None
    download: bool
    progress: Progress | None
    revision: str | None


def load_model(role: Role, name: str | PathLike[str], **options: Unpack[LoadOptions]) -> Model:
    """`load` what `locate` finds; options and errors are theirs."""
    from .devices import choose_device, choose_dtype

    device, dtype = options.pop("device", "auto"), options.pop("dtype", "auto")
    choose_dtype(dtype, choose_device(device))  # a mistyped one shows before anything is fetched
    return load(locate(role, name, **options), device=device, dtype=dtype)  # type: ignore[misc]


def load_as(kind: type[Kind], role: Role, name: str | PathLike[str], **options: Unpack[LoadOptions]) -> Kind:
    """`load_model` for those who name the class: ModelLoadError where the model is of another."""
    model = load_model(role, name, **options)
    if not isinstance(model, kind):
        raise ModelLoadError(f"{name} loads as {type(model).__name__}, not as {kind.__name__}: use load_{role}")
    return model


def load_captioner(name: str | PathLike[str], **options: Unpack[LoadOptions]) -> Captioner:
    """A captioner of any family, by catalog name, hub id or folder; options and errors as of `load_model`."""
    return cast("Captioner", load_model("captioner", name, **options))


def load_tagger(name: str | PathLike[str], **options: Unpack[LoadOptions]) -> Tagger:
    """A tagger of any family, by catalog name, hub id or folder; options and errors as of `load_model`."""
    return cast("Tagger", load_model("tagger", name, **options))


def load_matcher(name: str | PathLike[str], **options: Unpack[LoadOptions]) -> Matcher:
    """A matcher of any family, by catalog name, hub id or folder; options and errors as of `load_model`."""
    return cast("Matcher", load_model("matcher", name, **options))


def load_encoder(name: str | PathLike[str], **options: Unpack[LoadOptions]) -> Encoder:
    """An encoder of any family, by catalog name, ARCH/TAG, hub id or folder; options and errors as of `load_model`."""
    return cast("Encoder", load_model("encoder", name, **options))


@readable_models()
def folder_of(row: KnownModel) -> Path | None:
    """The folder on this machine that holds a known model, or None. Never asks the network."""
    files = _family(row.family).files.under(row.subfolder)
    folder = hub.find_files(
        row.source, required=files.required, any_of=files.any_of, shards=files.shards, revision=row.revision
    )
    return folder and folder / row.subfolder


def _by_own_name(
    role: Role, name: str, row: KnownModel | None, checkpoint: Any, fetch: dict[str, Any]
) -> Located | None:
    """A model by a name of its family's own, such as ARCH/TAG; None for other names."""
    for family in catalog.families(role) if row is None else [_family(row.family)]:
        if not family.finder:
            continue
        try:
            parts = imported(family.finder)(name, None, checkpoint=checkpoint, **fetch)
        except UnknownModelError:
            if row is None:
                raise
            continue  # the catalog knows what only looks like a mistyped name
        if parts:
            return Located(role, name, family.name, parts.folder, parts)
    return None


def _from_file(role: Role, name: str, path: Path, checkpoint: Any, fetch: dict[str, Any]) -> Located:
    """A model that one file is the name of, for the families that have such. Raises ModelLoadError: none has."""
    try:
        own = _by_own_name(role, name, None, checkpoint, fetch)
    except UnknownModelError:
        own = None
    if own is None:
        raise ModelLoadError(f"{path} is a file: name its folder, or an architecture with this checkpoint")
    return own


def _expected(role: Role, folder: Path, row: KnownModel | None) -> Family:
    """The family of the model in a folder: that of the catalog's row where there is one. Raises as `check_family`."""
    family = check_family(role, folder)
    if row is not None and row.family != family.name and not is_of(_family(row.family), role, folder):
        raise ModelLoadError(f"{folder} holds a model of family {family.name}, not of {row.family} as {row.name}")
    return family if row is None else _family(row.family)


def _on_hub(
    role: Role, name: str, source: str, row: KnownModel | None, checkpoint: Any, fetch: dict[str, Any]
) -> Located:
    """A model of the hub: its marker first, its weights only when that is the one of a family for this role."""
    if row is None or fetch["download"]:
        family = _expected(role, _marked(role, name, source, row, fetch), row)
    else:
        family = _family(row.family)
    subfolder = row.subfolder if row else ""
    files = family.files.under(subfolder)
    folder = hub.fetch_files(
        source, required=files.required, any_of=files.any_of, optional=files.optional, shards=files.shards,
        size=row.size if row else None, **fetch,
    )  # fmt: skip
    folder /= subfolder
    _expected(role, folder, row)
    return _located(role, name, family, folder, checkpoint, fetch)


def _marked(role: Role, name: str, source: str, row: KnownModel | None, fetch: dict[str, Any]) -> Path:
    """The folder with the marker of a repository, which is fetched alone."""
    subfolder = row.subfolder if row else ""
    (markers,) = FileSet(any_of=(tuple(marker_files(role)),)).under(subfolder).any_of
    if not markers:
        raise UnknownModelError(f"unknown {role} {name!r}: there is no family of {role}s")
    found = hub.find_files(source, any_of=(markers,), revision=fetch["revision"])
    if found is None and not fetch["download"] and hub.is_repo_id(source):
        if "/" not in source:
            raise UnknownModelError(_unknown(role, name))
        raise ModelNotFoundError(
            f"{source} is not on this machine: put its files into {hub.local_folder(source)}, or {hub.offer_of(None)}"
        )
    return hub.fetch_files(source, any_of=(markers,), optional=markers, **fetch) / subfolder


def _located(role: Role, name: str, family: Family, folder: Path, checkpoint: Any, fetch: dict[str, Any]) -> Located:
    if family.finder:
        parts = imported(family.finder)(name, folder, checkpoint=checkpoint, **fetch)
        return Located(role, name, family.name, folder, parts)
    if checkpoint is not None:
        raise ModelLoadError(f"{name} has its own weights; use a checkpoint with an architecture such as ViT-L-14")
    return Located(role, name, family.name, folder)


def _unknown(role: Role, name: str) -> str:
    known = [row.name for row in catalog.MODELS if row.role == role]
    return f"{catalog.unknown(role, name, known)}, or name a folder or a repository org/name"


def _family(name: str) -> Family:
    return next(family for family in catalog.FAMILIES if family.name == name)
