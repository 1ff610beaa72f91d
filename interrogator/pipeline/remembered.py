"""Remembered: the references that an encoder has got from what was read, and what they show."""

from __future__ import annotations

import logging
import os
from collections import OrderedDict
from collections.abc import Callable, Mapping, Sequence

import torch
from torch import Tensor

from ..embeddings import EmbeddingCache
from ..errors import ModelError, RequestError
from ..evidence import MOST_CLAIMS, Calibration, ReferenceFolder, References, claims_of
from ..models import Encoder
from ..reading import Reading
from ..threads import Lock

logger = logging.getLogger("interrogator")

VARIABLE = "INTERROGATOR_REFERENCES"
_OFF = frozenset({"0", "off", "no", "false"})
# Embeddings of claims kept until their pictures are remembered.
_KEPT_CLAIMS = 512


def are_wanted(given: bool | None, environment: Mapping[str, str] = os.environ) -> bool:
    """Whether references are kept and used: as given, else unless INTERROGATOR_REFERENCES is off."""
    return environment.get(VARIABLE, "").strip().casefold() not in _OFF if given is None else given


class Remembered:
    """A bounded sample of the pictures that were read with a caption, as embeddings; threads may share it.

    It is kept beside the encoder's embeddings, or in memory where there is no cache.
    """

    def __init__(self, encoder: Callable[[], Encoder], cache: EmbeddingCache | None) -> None:
        """Nothing is read yet. encoder: gives the encoder; raises where there is none."""
        self._encoder = encoder
        self._cache = cache
        self._lock = Lock()
        self._sample: References | None = None
        self._waiting: References | None = None  # for the folder, which appears with the first embedding
        self._calibration: Calibration | None = None
        self._learned = 0  # how many references there were when the calibration was learned
        self._claims: OrderedDict[str, Tensor] = OrderedDict()

    def claim_rows(self, claims: Sequence[str]) -> Tensor:
        """Unit rows [C, D] of claims; kept for a while, so that remembering their picture encodes nothing."""
        rows = self._encoder().encode_texts(list(claims))
        with self._lock:
            self._claims.update(zip(claims, rows, strict=True))
            while len(self._claims) > _KEPT_CLAIMS:
                self._claims.popitem(last=False)
        return rows

    def add(self, readings: Sequence[Reading]) -> None:
        """Remember the readings that have a caption and an embedding, as far as the sample has room for them.

        A disk or an encoder that fails costs references, not results.
        """
        pairs = [(each.embedding, claims_of(each.caption)[:MOST_CLAIMS]) for each in readings if not each.error]
        known = [(row.detach().float().cpu(), claims) for row, claims in pairs if row is not None and claims]
        if not known:
            return
        with self._lock:
            sample = self._known()
        admitted = sample.admits(torch.stack([row for row, _ in known]))
        known = [pair for pair, is_in in zip(known, admitted, strict=True) if is_in]
        if not known:
            return
        try:
            rows = self._rows(list(dict.fromkeys(claim for _, claims in known for claim in claims)))
        except ModelError as error:
            logger.debug("evidence: no references, since the encoder failed (%s)", error)
            return
        images = torch.stack([row for row, _ in known])
        new = References.of(images, [torch.stack([rows[claim] for claim in claims]) for _, claims in known])
        with self._lock:
            self._sample = self._known().joined(new)
            self._waiting = new if self._waiting is None else self._waiting.joined(new)
            self._store()

    def has_more_to_say(self) -> bool:
        """Whether `calibration` would learn something that it has not learned before."""
        with self._lock:
            return self._sample is not None and self._sample.is_due(self._learned, self._calibration)

    def calibration(self) -> Calibration | None:
        """What the references show; None while they are too few, or show nothing. Learned only where it is due."""
        with self._lock:
            sample = self._known()
            if sample.is_due(self._learned, self._calibration):
                self._learned = len(sample)
                try:
                    self._calibration = sample.calibration()
                except (RequestError, ModelError) as error:
                    logger.info("evidence: %d references show nothing yet (%s)", len(sample), error)
                else:
                    logger.info("evidence: %s is calibrated with %d references", self._encoder().name, len(sample))
                    self._keep(self._calibration)
            return self._calibration

    def _known(self) -> References:
        """The sample, read from disk the first time."""
        if self._sample is None:
            folder = self._folder()
            self._sample = References.none(self._encoder().identity().width) if folder is None else folder.read()
            self._calibration = None if folder is None else folder.learned()
            self._learned = 0 if self._calibration is None else len(self._calibration.references)
        return self._sample

    def _rows(self, claims: Sequence[str]) -> dict[str, Tensor]:
        """Unit rows [D] of claims."""
        with self._lock:
            rows = {claim: self._claims[claim] for claim in claims if claim in self._claims}
        missing = [claim for claim in claims if claim not in rows]
        return rows | dict(zip(missing, self._encoder().encode_texts(missing), strict=True)) if missing else rows

    def _folder(self) -> ReferenceFolder | None:
        if self._cache is None:
            return None
        identity = self._encoder().identity()
        store = self._cache.folder_of(identity)
        return None if store is None else ReferenceFolder(store, identity.width)

    def _store(self) -> None:
        """Write what waits, if there is where to."""
        folder = self._folder()
        if folder is None:
            return
        waiting, self._waiting = self._waiting, None
        try:
            if waiting is not None:
                folder.add(waiting)
        except OSError as error:
            self._cache = None
            logger.warning("evidence: references cannot be written to %s (%s); they stay in memory", folder.path, error)

    def _keep(self, calibration: Calibration) -> None:
        folder = self._folder()
        try:
            if folder is not None:
                folder.keep(calibration)
        except OSError as error:
            logger.warning("evidence: what was learned cannot be written to %s (%s)", folder and folder.path, error)
