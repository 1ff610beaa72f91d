"""Which of the phrases that hold a prompt states, and in which order. Strings and tensor rows only, no models."""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass

import torch
from torch import Tensor
from torch.nn.functional import normalize

from .exclusions import excludes
from .words import contradicts, says

SAME_ANGLE = 25.0
"""In degrees: phrases of one slot whose embeddings are nearer than this say the same.

In the demo, phrases of one slot that say the same are within 5 degrees, others beyond 57; where a direction that all
texts share makes two in general 54 degrees apart, as in larger encoders, within 3 and beyond 34.
"""

_ONE_EACH = frozenset({"mediums", "artists", "movements", "sites"})
_MOST_OF_A_BANK = 6
_NAMES = frozenset({"artists", "sites"})

# By bank or slot, the order in which people write prompts; a bank that is not named is about the subject.
_SUBJECT = 3
_ORDER = {
    "mediums": 0, "artists": 1, "movements": 2, "genre_and_aesthetic": 2, "era": 2, "technique": 2,
    "figure_and_clothing": 4, "setting": 5, "nature_and_weather": 5, "texture_and_material": 6,
    "lighting": 7, "color": 8, "camera_and_lens": 9, "photography": 9, "composition": 9,
    "mood": 10, "rendering": 11, "detail_and_quality": 11, "sites": 12,
}  # fmt: skip


@dataclass(frozen=True)
class Held:
    """A phrase that holds: its text, bank, slot and that bank's quota, and its log odds."""

    text: str
    bank: str
    role: str
    quota: int | None
    odds: float


def select(held: Sequence[Held], rows: Tensor, caption: str, claims: Sequence[str], claim_rows: Tensor) -> list[int]:
    """Indexes of the phrases to state, the surest first.

    Left out are phrases that the caption says already, that contradict it or a surer phrase, that mean the same as a
    surer phrase of their slot, and those beyond the number of their bank.

    Args:
        held: phrases that hold, n of them.
        rows: their embeddings [n, D].
        caption: the prompt begins with it; "" for none.
        claims: of the caption, C of them.
        claim_rows: their embeddings [C, D].
    """
    near = math.cos(math.radians(SAME_ANGLE))
    alike = cosines(rows, rows) >= near  # [n, n]
    claimed = (cosines(rows, claim_rows) >= near).any(dim=-1)  # [n]
    taken: list[int] = []
    number_of = Counter[str]()
    # Equal odds keep the order of the banks; probabilities near 1 differ by less than they are worth.
    for index in sorted(range(len(held)), key=lambda each: -round(held[each].odds, 3)):
        phrase = held[index]
        if number_of[phrase.bank] >= most_of_bank(phrase):
            continue
        if phrase.role == "mediums" and bool(claimed[index]) or (caption and says(caption, phrase.text)):
            continue
        if any(contradicts(phrase.text, claim) for claim in claims) or _excludes_text(phrase, caption):
            continue
        if any(_excludes(held[other], phrase, bool(alike[other, index])) for other in taken):
            continue
        taken.append(index)
        number_of[phrase.bank] += 1
    return taken


def in_order(held: Sequence[Held], taken: Sequence[int]) -> list[int]:
    """The indexes of phrases in the order of a prompt: medium, artist or movement, subject, light, colour, camera …"""
    return sorted(taken, key=lambda index: _ORDER.get(held[index].bank, _ORDER.get(held[index].role, _SUBJECT)))


def most_of_bank(phrase: Held) -> int:
    """How many phrases of its bank are stated together at most."""
    most = 1 if phrase.role in _ONE_EACH else _MOST_OF_A_BANK
    return most if phrase.quota is None else min(most, phrase.quota)


def _excludes(surer: Held, phrase: Held, alike: bool) -> bool:
    same_slot = surer.role == phrase.role
    texts = surer.text, phrase.text
    return (alike and same_slot) or contradicts(*texts) or says(*texts) or _excludes_text(phrase, surer)


def _excludes_text(phrase: Held, other: Held | str) -> bool:
    """Whether no picture is both; names of artists and of sites say nothing of one."""
    text, role = (other, "") if isinstance(other, str) else (other.text, other.role)
    return not {phrase.role, role} & _NAMES and excludes(phrase.text, text)


def cosines(rows: Tensor, others: Tensor) -> Tensor:
    """Cosines [n, m] of rows [n, D] and [m, D], also where either has none."""
    if not len(rows) or not len(others):
        return torch.zeros(len(rows), len(others))
    # Rounding to fp16 changes lengths enough to move an angle.
    return (normalize(rows.float()) @ normalize(others.to(rows.device).float()).T).cpu()
