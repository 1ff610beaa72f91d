"""PhraseTable: the phrases of all banks beside their embeddings, and who of them may stand in which slot."""

from __future__ import annotations

from collections.abc import Callable, Sequence

import torch
from torch import Tensor

from ..banks import FLAVORS, NEGATIVE, PhraseBank
from ..errors import BankError
from ..ranking import similarities, top_k


class PhraseTable:
    """Phrases of several banks, one after the other, and their embeddings.

    Attributes:
        texts: the phrases [N], bank after bank; the order that breaks ties.
        banks: the bank of each.
        rows: their embeddings [N, D]: float32 beside an image embedding, values as the cache holds them (fp16).
    """

    def __init__(self, banks: Sequence[PhraseBank], embed: Callable[[Sequence[str]], Tensor]) -> None:
        """Lay the banks out and embed their phrases.

        Args:
            embed: texts -> float16 rows [N, D].
        """
        self.texts = [phrase for bank in banks for phrase in bank.phrases]
        self.banks = [bank for bank in banks for _ in bank.phrases]
        self.rows = embed(self.texts).float()
        first: dict[str, int] = {}
        for place, text in enumerate(self.texts):
            if self.banks[place].role != NEGATIVE:
                first.setdefault(text.casefold(), place)
        self.merged = list(first.values())
        """Places of the phrases of all banks but negative; one that stands in two banks counts for the first."""

    def scores(self, embedding: Tensor) -> Tensor:
        """Cosine of an image embedding [D] with every phrase: float32 [N]."""
        return similarities(embedding, self.rows)

    def slot(self, role: str) -> list[int]:
        """Places of the phrases that may fill a slot: artists, mediums, movements, sites, flavors or negative."""
        return [place for place, bank in enumerate(self.banks) if bank.role == role]

    def bank(self, name: str) -> list[int]:
        """Places of the phrases of a bank, or of all banks of a role.

        Raises:
            BankError: there is no such bank here.
        """
        places = [place for place, bank in enumerate(self.banks) if name in (bank.name, bank.role)]
        if not places:
            names = dict.fromkeys(bank.name for bank in self.banks)
            raise BankError(f"no bank called {name!r} is switched on; there is {', '.join(names)}")
        return places

    def top(self, scores: Tensor, places: Sequence[int], k: int) -> list[int]:
        """The `k` of `places` with the highest of `scores` [N], highest first, within the quota of each bank."""
        allowed = self._within_quota(scores, places)
        return [allowed[i] for i in top_k(scores[torch.tensor(allowed, dtype=torch.long)], k)]

    def candidates(self, scores: Tensor, places: Sequence[int], k: int) -> list[int]:
        """The `k` of `places` with the highest of `scores` [N], in bank order; quotas are the search's business."""
        chosen = top_k(scores[torch.tensor(places, dtype=torch.long)], k)
        return sorted(places[i] for i in chosen)

    def negatives(self, scores: Tensor, k: int) -> list[int]:
        """What a negative prompt is made of: the `k` flavors least like the image, then the negative bank."""
        flavors = self.slot(FLAVORS)
        places = self.candidates(-scores, flavors, k) + self.slot(NEGATIVE)
        first: dict[str, int] = {}
        for place in places:
            first.setdefault(self.texts[place].casefold(), place)
        return list(first.values())

    def _within_quota(self, scores: Tensor, places: Sequence[int]) -> list[int]:
        """`places` less those that more similar phrases of their bank keep out; exact for any selection by score."""
        by_bank: dict[str, list[int]] = {}
        for place in places:
            by_bank.setdefault(self.banks[place].name, []).append(place)
        allowed: list[int] = []
        for group in by_bank.values():
            quota = self.banks[group[0]].quota
            if quota is not None and quota < len(group):
                group = [group[i] for i in top_k(scores[torch.tensor(group)], quota)]
            allowed += group
        return sorted(allowed)
