"""Completing a caption: what the phrases of the banks add to it."""

from __future__ import annotations

import numpy as np
from torch import Tensor

from ..errors import RequestError
from ..evidence import PhraseEvidence, additions, claims_of, probabilities
from ..models import Encoder
from ..progress import Progress
from ..ranking import similarities
from .holding import check_finite, holding
from .interrogation import RankedPhrase
from .phrase_table import PhraseTable


def complete(
    table: PhraseTable,
    encoder: Encoder,
    embedding: Tensor,
    caption: str,
    evidence: PhraseEvidence | None,
    top: int,
    strictness: float,
    progress: Progress | None = None,
) -> list[RankedPhrase]:
    """The phrases that hold for an image and say what its caption does not, the one that adds most first.

    Args:
        embedding: of the image, [D].
        caption: "" for none.
        evidence: of the phrases of the table; None where there are no reference images. Then the claims of the caption
            show what is similar enough, and without a caption nothing is added.
        top: phrases at most.
        strictness: share of the accepted phrases that may be false.

    Raises:
        RequestError: a number is out of range.
        CaptionError: the embedding is not finite.
    """
    check_numbers(top, strictness)
    check_finite(embedding)
    claims = claims_of(caption)
    claim_rows = encoder.encode_texts(claims, progress) if claims else table.embeddings([])  # [C, D]
    scores = table.scores(embedding)
    own = similarities(embedding, claim_rows).tolist()  # [C]
    found = holding(table, scores, evidence, strictness, own)
    taken = additions(found.held, table.embeddings(found.positions), caption, claims, claim_rows, top)
    sure = probabilities(np.array([found.held[index].odds for index in taken], dtype=np.float32))
    similarity = scores.at(found.positions[taken]).tolist() if taken else []
    return [
        RankedPhrase(found.held[index].text, found.held[index].bank, similar, known)
        for index, similar, known in zip(taken, similarity, sure, strict=True)
    ]


def check_numbers(top: int, strictness: float) -> None:
    """Raises RequestError: a number is out of range."""
    if top < 1:
        raise RequestError(f"top must be at least 1, not {top}")
    if not 0 < strictness < 1:
        raise RequestError(f"strictness must be above 0 and below 1, not {strictness}")
