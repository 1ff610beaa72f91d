"""Overview: how many pictures of a collection each phrase or claim holds for."""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Iterable
from dataclasses import dataclass, field
from typing import Any

COMMON = 0.9
"""Share of the pictures from which on something is common to all: not every true phrase is found in every picture."""

_RARE = 0.5


@dataclass
class Overview:
    """Counts of pictures, which do not depend on their order.

    Attributes:
        pictures: how many were counted.
        counts: by text, for how many of them it holds.
    """

    pictures: int = 0
    counts: Counter[str] = field(default_factory=Counter)

    def add(self, texts: Iterable[str]) -> None:
        """Count one more picture and what holds for it; each text once."""
        self.pictures += 1
        self.counts.update(set(texts))

    def merge(self, other: Overview) -> None:
        """Add the counts of other pictures."""
        self.pictures += other.pictures
        self.counts.update(other.counts)

    def share(self, text: str) -> float:
        """The share of the pictures that a text holds for; of one that holds for none, as if for one of them."""
        return max(self.counts[text], 1) / max(self.pictures, 1)

    def common(self, least: float = COMMON) -> list[str]:
        """The texts that hold for the share `least` of the pictures, those of most pictures first, then by name."""
        found = [text for text, count in self.counts.items() if count >= least * self.pictures]
        return sorted(found, key=lambda text: (-self.counts[text], text))

    def surprise(self, text: str, probability: float) -> float:
        """How much a text tells of a picture that others do not have, in bits; 0 for what half of the pictures have.

        Its probability times the information in how rare it is: inverse document frequency (Spärck Jones 1972).
        """
        share = self.share(text)
        return probability * -math.log2(share) if share < _RARE else 0.0

    def as_dict(self) -> dict[str, Any]:
        """As JSON holds it; texts in order, so that equal counts are equal bytes."""
        return {"pictures": self.pictures, "counts": dict(sorted(self.counts.items()))}

    @classmethod
    def from_dict(cls, values: dict[str, Any]) -> Overview:
        """The overview of `as_dict`."""
        return cls(int(values["pictures"]), Counter({text: int(count) for text, count in values["counts"].items()}))
