"""Loading an Interrogator by preset."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from os import PathLike
from pathlib import Path
from typing import Any

import torch

from .. import hub
from ..banks import PhraseBank, load_banks
from ..captioners import DEFAULT_OPTIONS, CaptionOptions
from ..catalog import DEFAULT_PRESET, ROLES, Role
from ..catalog import preset as find_preset
from ..embeddings import EmbeddingCache
from ..errors import ModelNotFoundError
from ..model_pool import ModelPool
from ..models import Captioner, Encoder, Located, Matcher, Tagger
from ..progress import Progress
from ..registry import locate
from .interrogator import Interrogator

NONE = "none"


def load(
    preset: str = DEFAULT_PRESET,
    *,
    captioner: str | Captioner | None = None,
    tagger: str | Tagger | None = None,
    encoder: str | Encoder | None = None,
    matcher: str | Matcher | None = None,
    banks: Iterable[str | PathLike[str] | PhraseBank] | None = None,
    device: str | torch.device = "auto",
    dtype: str | torch.dtype = "auto",
    cache_dir: str | PathLike[str] | None = None,
    download: bool = False,
    progress: Progress | None = None,
    checkpoint: str | PathLike[str] | None = None,
    caption_options: CaptionOptions = DEFAULT_OPTIONS,
) -> Interrogator:
    """Load models and banks.

    Args:
        preset: demo, small, sd15, sd21 or sdxl; what is not named otherwise comes from it.
        captioner, tagger, encoder, matcher: a name as `load_captioner` and its like take it, a loaded model, or "none"
            to do without.
        banks: names, files, folders (see `load_banks`) or banks.
        device: auto, cpu, cuda, cuda:1, mps ...
        dtype: auto, fp32, bf16 or fp16.
        cache_dir: folder for text embeddings; None is a folder of this user.
        download: whether missing files may be fetched from the Hugging Face hub.
        progress: called with (bytes done, bytes in all) while downloading; may raise to cancel.
        checkpoint: a weights file for an encoder named by architecture alone.
        caption_options: how captions are decoded.

    Raises:
        UnknownModelError, ModelNotFoundError, ModelLoadError, BankError, DeviceError.
    """
    row = find_preset(preset)
    given = {"captioner": captioner, "tagger": tagger, "encoder": encoder, "matcher": matcher}
    asked: dict[Role, Any] = {role: row.model(role) if given[role] is None else given[role] for role in ROLES}
    phrase_banks = _banks(row.banks if banks is None else banks)
    names = {role: str(model) for role, model in asked.items() if isinstance(model, (str, PathLike)) and model != NONE}
    located = locate_all(names, checkpoint=checkpoint, download=download, progress=progress)
    pool = ModelPool()
    number_format = row.dtype_for(dtype)
    models: dict[Role, Any] = {}
    for role, model in asked.items():
        if role in located:
            model = pool.load(role, located[role].name, located=located[role], device=device, dtype=number_format)
        models[role] = None if model == NONE else model
    return Interrogator(
        models["captioner"], models["encoder"], phrase_banks, embedding_cache(cache_dir), caption_options,
        tagger=models["tagger"], matcher=models["matcher"],
    )  # fmt: skip


def locate_all(
    names: Mapping[Role, str], *, checkpoint: str | PathLike[str] | None = None, download: bool = False,
    progress: Progress | None = None,
) -> dict[Role, Located]:  # fmt: skip
    """Find the files of all models, or say in one message what all of them lack, before any is built.

    Arguments as of `registry.locate`; the checkpoint is the encoder's.
    """
    found: dict[Role, Located] = {}
    missing: list[ModelNotFoundError] = []
    for role, name in names.items():
        weights = checkpoint if role == "encoder" else None
        try:
            found[role] = locate(role, name, checkpoint=weights, download=download, progress=progress)
        except ModelNotFoundError as error:
            missing.append(error)
    if len(missing) == 1:
        raise missing[0]
    if missing:
        raise ModelNotFoundError("; ".join(map(str, missing))) from missing[0]
    return found


def embedding_cache(cache_dir: str | PathLike[str] | None = None) -> EmbeddingCache:
    """The cache of text embeddings in a folder; None is this user's own."""
    return EmbeddingCache(Path(cache_dir).expanduser() if cache_dir else hub.home() / "embeddings")


def _banks(banks: Iterable[str | PathLike[str] | PhraseBank]) -> list[PhraseBank]:
    """Banks as they are, the rest loaded; the order stays."""
    found: list[PhraseBank] = []
    for bank in banks:
        found += [bank] if isinstance(bank, PhraseBank) else load_banks([bank])
    names: dict[str, PhraseBank] = {}
    for bank in found:
        names[bank.name] = names[bank.name].merged(bank) if bank.name in names else bank
    return list(names.values())
