"""EncoderEvidence: the calibration of an encoder, kept beside its embeddings, and what is judged with it."""

from __future__ import annotations

import logging
from collections.abc import Callable, Sequence

import torch

from ..banks import NEGATIVE
from ..embeddings import EmbeddingCache
from ..errors import RequestError
from ..evidence import Calibration, ClaimChecker, PhraseEvidence, load_calibration, save_calibration
from ..models import Encoder, Matcher
from ..progress import Progress
from ..reading import Reading
from ..threads import Lazy
from .phrase_table import PhraseTable

logger = logging.getLogger("interrogator")


class EncoderEvidence:
    """What similarities of an encoder are worth, for phrases and for claims; threads may share it."""

    def __init__(
        self, encoder: Callable[[], Encoder], cache: EmbeddingCache | None, matcher: Matcher | None,
        calibration: Calibration | None,
    ) -> None:  # fmt: skip
        """Combine the parts; nothing is read or computed yet.

        Args:
            encoder: gives the encoder; raises where there is none.
            cache: a calibration is stored beside the encoder's embeddings in it.
            matcher: has a voice on claims.
            calibration: None is the stored one.
        """
        self._encoder = encoder
        self._cache = cache
        self._matcher = matcher
        self._given = calibration
        self._of_table: Lazy[PhraseEvidence | None] = Lazy()
        self._checker: Lazy[ClaimChecker] = Lazy()

    def of_table(self, table: PhraseTable, progress: Progress | None) -> PhraseEvidence | None:
        """The odds of the phrases of the one table; None, after a warning, without a calibration. Computed once."""
        return self._of_table.get(lambda: self._computed(table), (lambda: progress(0, 1)) if progress else None)

    def checker(self) -> ClaimChecker:
        """What checks claims; made once."""
        return self._checker.get(
            lambda: ClaimChecker(self._encoder(), self._calibration(self._encoder().identity().width), self._matcher)
        )

    def learn(self, readings: Sequence[Reading]) -> Calibration:
        """Calibrate on readings, use the result from now on, and store it. Raises what `Calibration.of` raises."""
        calibration = learned(readings, self._encoder())
        if self._cache is not None:
            store(calibration, self._cache, self._encoder())
        self._given, self._of_table, self._checker = calibration, Lazy(), Lazy()
        return calibration

    def _calibration(self, width: int) -> Calibration | None:
        return self._given or stored(self._cache, self._encoder(), width)

    def _computed(self, table: PhraseTable) -> PhraseEvidence | None:
        calibration = self._calibration(table.rows.width)
        if calibration is None:
            logger.warning(
                "evidence: %s is not calibrated, so the caption of each image shows which phrases are true of it;"
                " calibrate it once with reference images (interrogator calibrate)",
                self._encoder().name,
            )
            return None
        return PhraseEvidence(calibration, table.rows, table.groups(), unstated=table.slot(NEGATIVE))


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
