"""Mode precise: the caption and the few phrases that are most likely true of the image."""

from __future__ import annotations

from collections.abc import Callable, Sequence

import numpy as np
from torch import Tensor

from ..errors import CaptionError
from ..evidence import Held, PhraseEvidence, claims_of, in_order, probabilities, select
from ..prompts import join
from ..ranking import similarities
from .holding import holding
from .prompt_builder import PromptBuilder, ScoredPrompt, SearchOptions

NO_PHRASES, UNCALIBRATED = "no_phrases", "uncalibrated"


def precise(
    builder: PromptBuilder, search: SearchOptions, evidence: PhraseEvidence | None,
    encode: Callable[[Sequence[str]], Tensor],
) -> ScoredPrompt:  # fmt: skip
    """The caption and the phrases whose evidence passes, in the order in which people write prompts.

    Args:
        search: its `strictness` is the share of the accepted phrases that may be false.
        evidence: of the phrases of the table; None where there are no reference images. Then the claims of the
            image's own caption show what is similar enough, and without a caption no phrase is taken.
        encode: unit rows [C, D] of claims, by the encoder of the table.

    Raises:
        CaptionError: there is no caption, and no phrase with enough evidence.
    """
    table, caption = builder.table, builder.caption
    remarks = () if evidence is not None else (UNCALIBRATED,)
    claims = claims_of(caption)
    claim_rows = encode(claims) if claims else table.embeddings([])  # [C, D]
    own = similarities(builder.embedding, claim_rows).tolist()  # [C]
    found = holding(table, builder.scores, evidence, search.strictness, own)
    held, positions = found.held, found.positions
    taken = select(held, table.embeddings(positions), caption, claims, claim_rows)[: search.max_phrases]
    while taken and not builder.encoder.fits(_prompt(caption, held, taken)):
        taken.pop()  # the least sure
    prompt = _prompt(caption, held, taken)
    if not prompt:
        raise CaptionError(
            "there is no caption, and no phrase of the banks has enough evidence for this image: give a caption,"
            + (" reference images to calibrate with," if UNCALIBRATED in remarks else " a higher strictness,")
            + " or use another mode"
        )
    if not held:
        remarks = (*remarks, NO_PHRASES)
    stated = in_order(held, taken)
    known = probabilities(np.array([held[index].odds for index in stated], dtype=np.float32))
    return ScoredPrompt(
        prompt, builder.similarity(prompt), tuple(int(positions[index]) for index in stated), tuple(known), remarks
    )


def _prompt(caption: str, held: list[Held], taken: list[int]) -> str:
    return join(caption, *(held[index].text for index in in_order(held, taken)))
