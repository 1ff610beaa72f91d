"""Loading an Interrogator by preset."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from os import PathLike
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
from ..paths import given_path
from ..progress import Progress
from ..registry import locate
from ..taggers import DEFAULT_RULES, TagRules
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
    tag_rules: TagRules = DEFAULT_RULES,
    references: bool | None = None,
) -> Interrogator:
    """Load models and banks.

    Args:
        preset: a name from `catalog.PRESETS`; supplies everything that the other arguments leave open.
        captioner, tagger, encoder, matcher: a name that `load_captioner` etc. accept, a loaded model, or "none" to do
            without.
        banks: names, files, folders (see `load_banks`) or banks.
        device: auto, cpu, cuda, cuda:1, mps …
        dtype: auto, fp32, bf16 or fp16.
        cache_dir: folder for text embeddings; None is the user's own.
        download: whether missing files may be downloaded from the Hugging Face Hub.
        progress: called with (bytes done, total bytes) while downloading; may raise to cancel.
        checkpoint: a weights file for an encoder named by architecture alone.
        caption_options: how captions are decoded.
        tag_rules: which tags of a tagger hold, and how they read.
        references: whether embeddings of images and captions are kept to learn from; see `Interrogator`.

    Raises:
        UnknownModelError, ModelNotFoundError, ModelLoadError, BankError, DeviceError.
    """
    row = find_preset(preset)
    arguments = {"captioner": captioner, "tagger": tagger, "encoder": encoder, "matcher": matcher}
    choices: dict[Role, Any] = {role: row.model(role) if arguments[role] is None else arguments[role] for role in ROLES}
    phrase_banks = _banks(row.banks if banks is None else banks)
    names = {
        role: str(model) for role, model in choices.items() if isinstance(model, (str, PathLike)) and model != NONE
    }
    located = locate_all(names, checkpoint=checkpoint, download=download, progress=progress)
    pool = ModelPool()
    chosen_dtype = row.dtype_for(dtype)
    models: dict[Role, Any] = {}
    for role, model in choices.items():
        if role in located:
            model = pool.load(role, located[role].name, located=located[role], device=device, dtype=chosen_dtype)
        models[role] = None if model == NONE else model
    return Interrogator(
        models["captioner"], models["encoder"], phrase_banks, embedding_cache(cache_dir), caption_options,
        tagger=models["tagger"], matcher=models["matcher"], tag_rules=tag_rules,
        references=references,
    )  # fmt: skip


def locate_all(
    names: Mapping[Role, str], *, checkpoint: str | PathLike[str] | None = None, download: bool = False,
    progress: Progress | None = None,
) -> dict[Role, Located]:  # fmt: skip
    """Find the files of all models before any is built; one error names everything that is missing.

    Arguments as for `registry.locate`; the checkpoint is for the encoder.
    """
    located: dict[Role, Located] = {}
    missing: list[ModelNotFoundError] = []
    for role, name in names.items():
        weights = checkpoint if role == "encoder" else None
        try:
            located[role] = locate(role, name, checkpoint=weights, download=download, progress=progress)
        except ModelNotFoundError as error:
            missing.append(error)
    if len(missing) == 1:
        raise missing[0]
    if missing:
        raise ModelNotFoundError("; ".join(map(str, missing))) from missing[0]
    return located


def embedding_cache(cache_dir: str | PathLike[str] | None = None) -> EmbeddingCache:
    """The cache of text embeddings in a folder; None is the user's own folder."""
    return EmbeddingCache(given_path(cache_dir) if cache_dir else hub.home() / "embeddings")


def _banks(banks: Iterable[str | PathLike[str] | PhraseBank]) -> list[PhraseBank]:
    """The banks in order, those given by name or path loaded, and those of one name merged."""
    by_name: dict[str, PhraseBank] = {}
    for each in banks:
        for bank in [each] if isinstance(each, PhraseBank) else load_banks([each]):
            by_name[bank.name] = by_name[bank.name].merged(bank) if bank.name in by_name else bank
    return list(by_name.values())
