"""Which phrases of a table hold for an image, by evidence."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor

from ..errors import CaptionError
from ..evidence import Calibration, Held, PhraseEvidence
from ..ranking import Scores
from ..rows import Positions
from .phrase_table import PhraseTable

# Phrases that are compared with each other at most, the surest ones: far more than anybody wants to read.
_MOST_COMPARED = 512


@dataclass(frozen=True, eq=False)
class Holding:
    """Phrases that hold for an image.

    Attributes:
        positions: in the table, int64 [n], ascending.
        held: the phrases, in the same order.
    """

    positions: Positions
    held: list[Held]

    @classmethod
    def of(cls, table: PhraseTable, positions: Positions, odds: Sequence[float]) -> Holding:
        """The phrases at `positions` [n] of a table, with their log odds."""
        banks = [table.banks[position] for position in positions.tolist()]
        texts = table.texts_at(positions.tolist())
        held = [
            Held(text, bank.name, bank.role, bank.quota, sure)
            for text, bank, sure in zip(texts, banks, odds, strict=True)
        ]  # fmt: skip
        return cls(positions, held)


def check_finite(embedding: Tensor) -> None:
    """Raises CaptionError: an image's embedding is not finite, so there is no evidence."""
    if not bool(torch.isfinite(embedding).all()):
        raise CaptionError("the encoder gave an embedding that is not finite: use another dtype or encoder")


def holding(
    table: PhraseTable, scores: Scores, evidence: PhraseEvidence | None, strictness: float, own: Sequence[float]
) -> Holding:
    """The phrases whose evidence passes, the surest `_MOST_COMPARED` of them.

    Args:
        scores: of the image.
        evidence: of the phrases of the table; None where there are no reference images. Then the claims of the image's
            caption show what is similar enough, and without a caption no phrase holds.
        strictness: share of the accepted phrases that may be false.
        own: similarities [C] of the image and the claims of its caption.
    """
    if evidence is None and len(own):
        evidence = _evidence_of_picture(table, scores, own)
    if evidence is None:
        return Holding(np.zeros(0, dtype=np.int64), [])
    least = evidence.least(strictness)
    positions = evidence.candidates(scores.rough, scores.bound, least)
    odds = evidence.log_odds(scores.at(positions).numpy(), positions)
    order = np.argsort(-odds, kind="stable")[:_MOST_COMPARED]
    order = np.sort(order[odds[order] >= least])  # in bank order, which breaks ties
    return Holding.of(table, positions[order], odds[order].tolist())


def _evidence_of_picture(table: PhraseTable, scores: Scores, own: Sequence[float]) -> PhraseEvidence | None:
    """Evidence from an image alone, given the similarities [C] of the claims of its caption, at least one.

    None where the claims are no more similar than the phrases of the table.
    """
    groups = table.groups()
    if not groups:
        return None
    others = scores.rough[np.concatenate(groups)]
    calibration = Calibration.of_picture(np.asarray(own, dtype=np.float32), others, table.rows.width)
    return None if calibration is None else PhraseEvidence(calibration, table.rows, groups, scores.rough)
