"""The calibration of an encoder: learned from readings, kept beside its embeddings, and what it says of a table."""

from __future__ import annotations

import logging
from collections.abc import Sequence

import torch

from ..embeddings import EmbeddingCache
from ..errors import RequestError
from ..evidence import Calibration, PhraseEvidence, load_calibration, save_calibration
from ..models import Encoder
from ..reading import Reading
from .phrase_table import PhraseTable

logger = logging.getLogger("interrogator")


def learned(readings: Sequence[Reading], encoder: Encoder) -> Calibration:
    """The calibration of the encoder that made the embeddings of readings. Raises what `Calibration.of` raises."""
    rows = [reading.embedding for reading in readings if reading.embedding is not None]
    if not rows:
        raise RequestError("there are no reference images: give some")
    captions = [reading.caption for reading in readings]
    return Calibration.of(torch.stack(rows), captions, lambda claims: encoder.encode_texts(list(claims)))


def store(calibration: Calibration, cache: EmbeddingCache, encoder: Encoder) -> None:
    """Keep it beside the encoder's embeddings, of which there are some; a full disk is a warning."""
    folder = cache.folder_of(encoder.identity())
    try:
        if folder is not None:
            save_calibration(folder, calibration)
    except OSError as error:
        logger.warning("evidence: the calibration was not stored in %s (%s)", folder, error)


def stored(cache: EmbeddingCache | None, encoder: Encoder, width: int) -> Calibration | None:
    """The calibration beside the encoder's embeddings, else the one that its weights came with.

    width: D, the length of an embedding.
    """
    beside = None if cache is None else cache.folder_of(encoder.identity())
    for folder in (beside, encoder.origin.folder):
        if folder is not None and (found := load_calibration(folder, width)) is not None:
            return found
    return None


def evidence_of(table: PhraseTable, calibration: Calibration | None, encoder: Encoder) -> PhraseEvidence | None:
    """The odds of the phrases of a table; None, after a warning, without a calibration."""
    if calibration is None:
        logger.warning(
            "evidence: %s is not calibrated, so the caption of each image shows which phrases are true of it;"
            " calibrate it once with reference images (interrogator calibrate)",
            encoder.name,
        )
        return None
    return PhraseEvidence(calibration, table.rows, table.groups())
