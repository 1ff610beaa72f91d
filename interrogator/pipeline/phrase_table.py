"""PhraseTable: the phrases of all banks beside their embeddings, and who of them may stand in which slot."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Callable, Iterable, Sequence
from functools import cache, cached_property

import numpy as np
import numpy.typing as npt
from torch import Tensor

from ..banks import FLAVORS, NEGATIVE, PhraseBank
from ..embeddings import KeepsTokens, KeptList, Listing, tokens_at
from ..errors import BankError
from ..phrases import Joined, Phrases, Repeated
from ..ranking import Scores
from ..rows import Indices

# What is kept with the row numbers of a table, so that opening it again looks at no phrase. The version goes up when
# a note changes its meaning.
_MERGED, _TOKEN_IDS, _TOKEN_ENDS = "merged", "token_ids", "token_ends"
_NOTES_VERSION = 1


class PhraseTable:
    """Phrases of several banks, one after the other, and their embeddings.

    Attributes:
        texts: the phrases [N], bank after bank; the order that breaks ties.
        banks: the bank of each.
        rows: their embeddings [N, D]: values as the cache holds them (fp16), and where it holds them.
        merged: indices of the phrases of all banks but negative, int64 [M], ascending; one that stands in two banks
            counts for the first.
    """

    def __init__(
        self, banks: Sequence[PhraseBank], embed: Callable[[Listing], KeptList], encoder: object = None
    ) -> None:
        """Lay the banks out and embed their phrases.

        Args:
            embed: the rows and notes of a list of phrases.
            encoder: its token ids of the phrases are kept with the table, where it is one that `KeepsTokens`.
        """
        self.texts = Joined([bank.phrases for bank in banks])
        self.banks = Joined([Repeated(bank, len(bank)) for bank in banks])
        self._banks = list(banks)
        self._borders = np.array(self.texts.borders, dtype=np.int64)  # [B + 1]: where banks begin, and the last ends
        kept = embed(self._listing(encoder))
        self.rows = kept.rows
        self.merged: Indices = kept.notes[_MERGED]().astype(np.int64)
        self._notes = kept.notes

    def scores(self, embedding: Tensor) -> Scores:
        """Cosine of an image embedding [D] with every phrase."""
        return Scores(embedding, self.rows)

    def texts_at(self, indices: Sequence[int]) -> list[str]:
        """The phrases at `indices`; for many, faster than one after the other."""
        found = [""] * len(indices)
        homes = np.searchsorted(self._borders, indices, side="right") - 1  # [n]: number of each one's bank
        for home in np.unique(homes).tolist():
            here = np.flatnonzero(homes == home)
            own = (np.asarray(indices)[here] - self._borders[home]).tolist()
            phrases = self._banks[home].phrases
            texts = phrases.at(own) if isinstance(phrases, Phrases) else [phrases[index] for index in own]
            for index, text in zip(here.tolist(), texts, strict=True):
                found[index] = text
        return found

    def embeddings(self, indices: Sequence[int] | Indices) -> Tensor:
        """The embeddings of the phrases at `indices` [n]: float32 [n, D], where the rows are."""
        return self.rows.at(indices).float()

    @cached_property
    def _tokens(self) -> tuple[npt.NDArray[np.int32], npt.NDArray[np.int64]] | None:
        """Token ids of all phrases, int32 [T], and where each phrase ends in them, int64 [N]."""
        return (self._notes[_TOKEN_IDS](), self._notes[_TOKEN_ENDS]()) if _TOKEN_IDS in self._notes else None

    def tokens(self, indices: Sequence[int] | Indices) -> tuple[npt.NDArray[np.int32], npt.NDArray[np.int64]] | None:
        """Token ids of the phrases at `indices` [n] as `KeepsTokens.token_ids` gives them; None: they are not kept."""
        return self._tokens and tokens_at(np.asarray(indices, dtype=np.int64), *self._tokens)

    def slot(self, role: str) -> Indices:
        """Indices of the phrases that may fill a slot: artists, mediums, movements, sites, flavors or negative."""
        return self._indices_of(bank.role == role for bank in self._banks)

    def bank(self, name: str) -> Indices:
        """Indices of the phrases of a bank, or of all banks of a role.

        Raises:
            BankError: there is no such bank here.
        """
        indices = self._indices_of(name in (bank.name, bank.role) for bank in self._banks)
        if not len(indices):
            names = dict.fromkeys(bank.name for bank in self._banks if len(bank))
            raise BankError(f"no bank called {name!r} is switched on; there is {', '.join(names)}")
        return indices

    def top(self, scores: Scores, indices: Indices | Sequence[int], k: int) -> list[int]:
        """The `k` of `indices`, ascending, with the highest scores, highest first, within the quota of each bank."""
        return scores.highest(self._within_quota(scores, np.asarray(indices, dtype=np.int64)), k)

    def candidates(self, scores: Scores, indices: Indices | Sequence[int], k: int) -> list[int]:
        """The `k` of `indices`, ascending, with the highest scores, in bank order; quotas are the search's business."""
        return sorted(scores.highest(indices, k))

    def negatives(self, scores: Scores, k: int) -> list[int]:
        """What a negative prompt is made of: the `k` flavors least like the image, then the negative bank."""
        indices = sorted(scores.lowest(self.slot(FLAVORS), k)) + self.slot(NEGATIVE).tolist()
        return _first_of_each(indices, (self.texts[index] for index in indices))

    def _within_quota(self, scores: Scores, indices: Indices) -> Indices:
        """`indices` less those that more similar phrases of their bank keep out; exact for any selection by score."""
        homes = np.searchsorted(self._borders, indices, side="right") - 1  # [n]: number of each one's bank
        for name in {bank.name for bank in self._banks if bank.quota is not None}:
            own = [number for number, bank in enumerate(self._banks) if bank.name == name]
            here = np.isin(homes, own)  # [n]
            quota = self._banks[own[0]].quota
            if quota is not None and quota < np.count_nonzero(here):
                stays = ~here | np.isin(indices, scores.highest(indices[here], quota))
                indices, homes = indices[stays], homes[stays]
        return indices

    def _indices_of(self, chosen: Iterable[bool]) -> Indices:
        """Indices of the phrases of the banks that are chosen, ascending."""
        ranges = zip(self._borders[:-1], self._borders[1:], chosen, strict=True)
        return np.concatenate([np.arange(0), *(np.arange(start, end) for start, end, is_in in ranges if is_in)])

    def _listing(self, encoder: object) -> Listing:
        notes: dict[str, Callable[[], npt.NDArray[np.int32] | npt.NDArray[np.int64]]] = {_MERGED: cache(self._merge)}
        if isinstance(encoder, KeepsTokens):
            tokens = cache(lambda: encoder.token_ids(self.texts))
            notes |= {_TOKEN_IDS: lambda: tokens()[0], _TOKEN_ENDS: lambda: tokens()[1]}
        lists = [(bank.digest, len(bank), bank.role == NEGATIVE) for bank in self._banks]
        digest = hashlib.sha256(json.dumps([_NOTES_VERSION, lists]).encode()).hexdigest()[:32]
        return Listing(self.texts, digest, notes)

    def _merge(self) -> npt.NDArray[np.int32]:
        indices = self._indices_of(bank.role != NEGATIVE for bank in self._banks)
        texts = (text for bank in self._banks if bank.role != NEGATIVE for text in bank.phrases)
        return np.array(_first_of_each(indices.tolist(), texts), dtype=np.int32)


def _first_of_each(indices: Iterable[int], texts: Iterable[str]) -> list[int]:
    """Those of `indices` whose text, whatever its case, no earlier one has."""
    first: dict[str, int] = {}
    for index, text in zip(indices, texts, strict=True):
        first.setdefault(text.casefold(), index)
    return list(first.values())
