"""Loading an Interrogator by preset."""

from __future__ import annotations

from collections.abc import Iterable
from os import PathLike
from pathlib import Path

import torch

from .. import hub
from ..banks import PhraseBank, load_banks
from ..captioners import DEFAULT_OPTIONS, BlipCaptioner, Captioner, CaptionOptions, find_blip
from ..catalog import preset as find_preset
from ..embeddings import EmbeddingCache
from ..encoders import Encoder, OpenClipEncoder, locate
from ..errors import ModelNotFoundError
from ..progress import Progress
from .interrogator import Interrogator

NONE = "none"


def load(
    preset: str = "sd15",
    captioner: str | Captioner | None = None,
    encoder: str | Encoder | None = None,
    banks: Iterable[str | PathLike[str] | PhraseBank] | None = None,
    device: str | torch.device = "auto",
    dtype: str | torch.dtype = "auto",
    cache_dir: str | PathLike[str] | None = None,
    download: bool = False,
    progress: Progress | None = None,
    checkpoint: str | PathLike[str] | None = None,
    caption_options: CaptionOptions = DEFAULT_OPTIONS,
) -> Interrogator:
    """Load captioner, encoder and banks.

    Args:
        preset: demo, small, sd15, sd21 or sdxl; what is not named otherwise comes from it.
        captioner: hub id or folder of a BLIP, a Captioner, or "none" to do without.
        encoder: a name as `OpenClipEncoder.load` takes it, an Encoder, or "none" (mode `caption` needs none).
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
    dtype = row.dtype_for(dtype)
    phrase_banks = _banks(row.banks if banks is None else banks)
    eye: str | Encoder | None = row.encoder if encoder is None else encoder
    voice: str | Captioner | None = row.captioner if captioner is None else captioner
    _fetch(eye, voice, checkpoint, download, progress)
    if isinstance(eye, str):
        eye = None if eye == NONE else OpenClipEncoder.load(eye, device, dtype, checkpoint, download, progress)
    if isinstance(voice, str):
        voice = None if voice == NONE else BlipCaptioner.load(voice, device, dtype, download, progress)
    return Interrogator(voice, eye, phrase_banks, embedding_cache(cache_dir), caption_options)


def _fetch(
    encoder: object,
    captioner: object,
    checkpoint: str | PathLike[str] | None,
    download: bool,
    progress: Progress | None,
) -> None:
    """Bring the files of both models here, or say in one message what both of them lack, before either is built."""
    missing: list[ModelNotFoundError] = []
    try:
        if isinstance(encoder, str) and encoder != NONE:
            locate(encoder, checkpoint, download, progress)
    except ModelNotFoundError as error:
        missing.append(error)
    try:
        if isinstance(captioner, str) and captioner != NONE:
            find_blip(captioner, download, progress)
    except ModelNotFoundError as error:
        missing.append(error)
    if missing:
        raise ModelNotFoundError("; ".join(map(str, missing))) from missing[0]


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
