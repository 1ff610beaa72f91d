"""Which of the phrases that hold say something that a caption does not, and how much. Strings and tensor rows only."""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Sequence

import numpy as np
import numpy.typing as npt
from torch import Tensor

from .phrase_evidence import probabilities
from .selection import SAME_ANGLE, Held, cosines, most_of_bank
from .words import contradicts, says


def additions(
    held: Sequence[Held], rows: Tensor, caption: str, claims: Sequence[str], claim_rows: Tensor, most: int
) -> list[int]:
    """Indexes of phrases that add to a caption, the one that adds most first.

    What a phrase adds is its probability times its distance, one less the cosine, from the nearest of the claims and
    the phrases before it (maximal marginal relevance, Carbonell and Goldstein 1998, as a product). Left out are phrases
    that the caption says, that mean the same as a claim or an earlier phrase, that contradict one, and those beyond the
    number of their bank.

    Args:
        held: phrases that hold, n of them.
        rows: their embeddings [n, D].
        caption: "" for none.
        claims: of the caption, C of them.
        claim_rows: their embeddings [C, D].
        most: phrases at most.
    """
    same = math.cos(math.radians(SAME_ANGLE))
    alike = cosines(rows, rows).numpy()  # [n, n]
    sure = np.array(probabilities(np.array([each.odds for each in held], dtype=np.float32)))  # [n]
    nearest = np.zeros(len(held), dtype=np.float32)  # [n]
    if len(claims):
        nearest = np.maximum(nearest, cosines(rows, claim_rows).numpy().max(axis=1, initial=0.0))
    left = [
        index
        for index, phrase in enumerate(held)
        if not (caption and says(caption, phrase.text)) and not any(contradicts(phrase.text, claim) for claim in claims)
    ]
    taken: list[int] = []
    number_of = Counter[str]()
    while len(taken) < most:
        left = [
            index for index in left if nearest[index] < same and number_of[held[index].bank] < most_of_bank(held[index])
        ]
        if not left:
            break
        gains: npt.NDArray[np.float64] = sure[left] * (1.0 - nearest[left])
        chosen = left[int(np.argmax(np.round(gains, 6)))]  # of equal ones the first, in the order of the banks
        taken.append(chosen)
        number_of[held[chosen].bank] += 1
        nearest = np.maximum(nearest, alike[chosen])
        stated = held[chosen].text
        left = [
            index
            for index in left
            if index != chosen and not contradicts(held[index].text, stated) and not says(stated, held[index].text)
        ]
    return taken
