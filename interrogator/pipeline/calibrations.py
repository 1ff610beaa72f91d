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
from .remembered import Remembered

logger = logging.getLogger("interrogator")


class Evidence:
    """What similarities of an encoder are worth during one run, for phrases and for claims; threads may share it."""

    def __init__(
        self, encoder: Callable[[], Encoder], matcher: Matcher | None, find: Callable[[], Calibration | None]
    ) -> None:
        """Nothing is read or computed yet. find: gives the calibration; called once."""
        self._encoder = encoder
        self._matcher = matcher
        self._find = find
        self._calibration: Lazy[Calibration | None] = Lazy()
        self._of_table: Lazy[PhraseEvidence | None] = Lazy()
        self._checker: Lazy[ClaimChecker] = Lazy()

    def of_table(self, table: PhraseTable, progress: Progress | None) -> PhraseEvidence | None:
        """The odds of the phrases of the one table; None, after a warning, without a calibration. Computed once."""
        return self._of_table.get(lambda: self._computed(table), (lambda: progress(0, 1)) if progress else None)

    def checker(self) -> ClaimChecker:
        """What checks claims; made once."""
        return self._checker.get(
            lambda: ClaimChecker(self._encoder(), self._calibration.get(self._find), self._matcher)
        )

    def _computed(self, table: PhraseTable) -> PhraseEvidence | None:
        calibration = self._calibration.get(self._find)
        if calibration is None:
            logger.warning(
                "evidence: %s is not calibrated, so the caption of each image shows which phrases are true of it;"
                " calibrate it once with reference images (interrogator calibrate), or let it learn from the images"
                " that are read",
                self._encoder().name,
            )
            return None
        return PhraseEvidence(calibration, table.rows, table.groups(), unstated=table.slot(NEGATIVE))


class EncoderEvidence:
    """What is known of an encoder's similarities, and what is learned of them while it is used; threads may share it.

    A run goes by what was known when it began, so that its results hang on its images alone.
    """

    def __init__(
        self, encoder: Callable[[], Encoder], cache: EmbeddingCache | None, matcher: Matcher | None,
        calibration: Calibration | None, has_references: bool,
    ) -> None:  # fmt: skip
        """Combine the parts; nothing is read or computed yet.

        Args:
            encoder: gives the encoder; raises where there is none.
            cache: a calibration is stored beside the encoder's embeddings in it.
            matcher: has a voice on claims.
            calibration: None is the stored one.
            has_references: whether images that are read become references, where there is no calibration.
        """
        self._encoder = encoder
        self._cache = cache
        self._matcher = matcher
        self._given = calibration
        self._remembered = Remembered(encoder, cache) if has_references else None
        self._needs_references: Lazy[bool] = Lazy()
        self._is_held = False
        self.now = self._made()

    def begin(self) -> Evidence:
        """What a run goes by that begins now: what was learned until now counts, unless `hold` was called."""
        if not self._is_held and self._remembered is not None and self._remembered.has_more_to_say():
            self.now = self._made()
        return self.now

    def hold(self) -> None:
        """Everything from now on is one run."""
        self._is_held = True

    def learn(self, readings: Sequence[Reading]) -> Calibration:
        """Calibrate on readings, use the result from now on, and store it. Raises what `Calibration.of` raises."""
        calibration = learned(readings, self._encoder())
        if self._cache is not None:
            store(calibration, self._cache, self._encoder())
        self._given, self._needs_references = calibration, Lazy()
        self.now = self._made()
        return calibration

    def claim_rows(self, claims: Sequence[str]) -> torch.Tensor:
        """Unit rows [C, D] of the claims of a caption."""
        if self._remembered is None:
            return self._encoder().encode_texts(list(claims))
        return self._remembered.claim_rows(claims)

    def remember(self, readings: Sequence[Reading]) -> None:
        """Take readings with a caption and an embedding as references, if there is no other calibration."""
        if self._remembered is None or not any(each.embedding is not None and each.caption for each in readings):
            return
        if self._needs_references.get(lambda: self._other() is None):
            self._remembered.add(readings)

    def _made(self) -> Evidence:
        return Evidence(self._encoder, self._matcher, self._calibration)

    def _calibration(self) -> Calibration | None:
        other = self._other()
        return self._remembered.calibration() if other is None and self._remembered is not None else other

    def _other(self) -> Calibration | None:
        """The calibration that is not from references: it comes before theirs."""
        return self._given or stored(self._cache, self._encoder(), self._encoder().identity().width)


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
