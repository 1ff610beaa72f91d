"""Mode negative: styles that an image clearly does not have, then faults that no image should have."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence

import numpy as np

from ..banks import NEGATIVE
from ..duplicates import Repeats
from ..errors import RequestError
from ..evidence import SAME_ANGLE, USUAL, PhraseEvidence, log_odds, probabilities
from ..prompts import join
from ..rows import Positions
from .precise import UNCALIBRATED
from .prompt_builder import PromptBuilder, ScoredPrompt, SearchOptions

# Slots whose phrases are styles: an image has few of them.
_STYLES = ("mediums", "movements")
# One phrase in so many is a style, the others are faults.
_STYLE_SHARE = 3


def negative(builder: PromptBuilder, search: SearchOptions, evidence: PhraseEvidence | None) -> ScoredPrompt:
    """A negative prompt in two parts, without the caption.

    First come the styles that the references have most often and this image clearly has not: the least similar phrases
    would be much the same for every image. Then follow the phrases of the bank `negative` in its order, less those that
    are true of the image.

    Args:
        search: `max_phrases` of both parts; `strictness` is how likely a style may still be true.
        evidence: of the phrases of the table; None where there are no reference images, and then no style is named.

    Raises:
        RequestError: there is no phrase to name.
    """
    table = builder.table
    styles = np.concatenate([table.slot(role) for role in _STYLES])
    faults = table.slot(NEGATIVE)
    if evidence is None:
        styles = styles[:0]
    else:
        # Weighed as if each were as likely true as false: of thousands of phrases nearly all are false beforehand.
        absent = _likelihood(builder, evidence, styles) <= log_odds(search.strictness)
        styles = styles[absent & (evidence.share(styles) > 0)]
        styles = styles[np.argsort(-evidence.share(styles), kind="stable")]
        # A fault that most references seem to have says nothing of this image.
        seen = _likelihood(builder, evidence, faults) >= -log_odds(search.strictness)
        faults = faults[~seen | (evidence.share(faults) > USUAL)]
    chosen = _distinct(builder, styles, SAME_ANGLE, search.max_phrases // _STYLE_SHARE, [])
    chosen = _distinct(builder, faults, 0.0, search.max_phrases, chosen)
    while chosen and not builder.encoder.fits(join(*table.texts_at(chosen))):
        chosen.pop()
    if not chosen:
        raise RequestError(
            "there is no phrase for a negative prompt: use the bank negative, calibrate the encoder, or raise"
            " max_phrases or the quotas"
        )
    prompt = join(*table.texts_at(chosen))
    if evidence is None:
        return ScoredPrompt(prompt, builder.similarity(prompt), tuple(chosen), (), (UNCALIBRATED,))
    known = probabilities(_likelihood(builder, evidence, np.array(chosen)))
    return ScoredPrompt(prompt, builder.similarity(prompt), tuple(chosen), tuple(known))


def _likelihood(builder: PromptBuilder, evidence: PhraseEvidence, positions: Positions) -> np.ndarray:
    """Log likelihood ratios [n] of the phrases at `positions` [n] being true of the image."""
    return evidence.log_ratio(builder.scores.at(positions).numpy(), positions)


def _distinct(
    builder: PromptBuilder, positions: Positions, min_angle: float, most: int, taken: Sequence[int]
) -> list[int]:
    """The positions taken and, up to `most` of all, the first of `positions` that say something else and fit quotas."""
    table, chosen = builder.table, list(taken)
    left = positions.tolist()
    repeats = Repeats([*chosen, *left], table.texts, table.embeddings, True, min_angle)
    number_of = Counter(table.banks[position].name for position in chosen)
    while left and len(chosen) < most:
        position = left.pop(0)
        bank = table.banks[position]
        if bank.quota is not None and number_of[bank.name] >= bank.quota:
            continue
        chosen.append(position)
        number_of[bank.name] += 1
        left = repeats.fresh(left, join(*table.texts_at(chosen)), chosen)
    return chosen
