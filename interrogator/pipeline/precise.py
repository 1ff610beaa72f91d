"""Mode precise: the caption and the few phrases that are most likely true of the image."""

from __future__ import annotations

from collections.abc import Callable, Sequence

import numpy as np
from torch import Tensor

from ..errors import CaptionError
from ..evidence import Calibration, Held, PhraseEvidence, claims_of, in_order, probabilities, select
from ..prompts import join
from ..ranking import similarities
from .prompt_builder import PromptBuilder, ScoredPrompt, SearchOptions

NO_PHRASES, UNCALIBRATED = "no_phrases", "uncalibrated"

# Phrases that are compared with each other at most, the surest ones: far more than a prompt takes.
_MOST_COMPARED = 512


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
    table, scores, caption = builder.table, builder.scores, builder.caption
    remarks = () if evidence is not None else (UNCALIBRATED,)
    claims = claims_of(caption)
    claim_rows = encode(claims) if claims else table.embeddings([])  # [C, D]
    if evidence is None and claims:
        evidence = _of_picture(builder, similarities(builder.embedding, claim_rows).cpu().numpy())
    held: list[Held] = []
    positions = np.zeros(0, dtype=np.int64)
    if evidence is not None:
        least = evidence.least(search.strictness)
        positions = evidence.candidates(scores.rough, scores.bound, least)
        odds = evidence.log_odds(scores.at(positions).numpy(), positions)
        order = np.argsort(-odds, kind="stable")[:_MOST_COMPARED]
        order = np.sort(order[odds[order] >= least])  # in bank order, which breaks ties
        positions, odds = positions[order], odds[order]
        banks = [table.banks[position] for position in positions.tolist()]
        texts = table.texts_at(positions.tolist())
        held = [
            Held(text, bank.name, bank.role, bank.quota, sure)
            for text, bank, sure in zip(texts, banks, odds.tolist(), strict=True)
        ]
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


def _of_picture(builder: PromptBuilder, claims: np.ndarray) -> PhraseEvidence | None:
    """Evidence from the image alone, given similarities [C] of the claims of its caption."""
    groups, rough = builder.table.groups(), builder.scores.rough
    if not groups:
        return None
    calibration = Calibration.of_picture(claims, rough[np.concatenate(groups)], builder.table.rows.width)
    return None if calibration is None else PhraseEvidence(calibration, builder.table.rows, groups, rough)


def _prompt(caption: str, held: list[Held], taken: list[int]) -> str:
    return join(caption, *(held[index].text for index in in_order(held, taken)))
