"""PhraseTable: the phrases of all banks with their embeddings, and which of them may fill which slot."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Callable, Iterable, Sequence
from functools import cache, cached_property

import numpy as np
import numpy.typing as npt
from torch import Tensor

from ..banks import NEGATIVE, PhraseBank
from ..embeddings import ListRows, PhraseList, TokenCache, tokens_at
from ..errors import BankError
from ..phrases import Joined, Phrases, Repeated
from ..ranking import Scores
from ..rows import Positions

# Notes saved with the row numbers of a table, so that opening it again reads no phrase. Increase the version when a
# note changes its meaning.
_MERGED, _TOKEN_IDS, _TOKEN_ENDS = "merged", "token_ids", "token_ends"
_NOTES_VERSION = 1


class PhraseTable:
    """The phrases of several banks, concatenated, and their embeddings.

    Attributes:
        texts: the phrases [N], bank after bank; this order breaks ties.
        banks: the bank of each phrase.
        rows: their embeddings [N, D]: fp16 values, stored where the cache stores them.
        merged: positions of the phrases of all banks except negative, int64 [M], ascending; a phrase in two banks
            belongs to the first.
    """

    def __init__(
        self, banks: Sequence[PhraseBank], embed: Callable[[PhraseList], ListRows], encoder: object = None
    ) -> None:
        """Lay the banks out and embed their phrases.

        Args:
            embed: returns the rows and notes of a list of phrases.
            encoder: if it is a `TokenCache`, its token ids of the phrases are saved with the table.
        """
        self.texts = Joined([bank.phrases for bank in banks])
        self.banks = Joined([Repeated(bank, len(bank)) for bank in banks])
        self._banks = list(banks)
        self._borders = np.array(self.texts.borders, dtype=np.int64)  # [B + 1]: where banks begin, and the last ends
        embedded = embed(self._phrase_list(encoder))
        self.rows = embedded.rows
        self.merged: Positions = embedded.notes[_MERGED]().astype(np.int64)
        self._notes = embedded.notes

    def scores(self, embedding: Tensor) -> Scores:
        """Cosines of an image embedding [D] with every phrase."""
        return Scores(embedding, self.rows)

    def texts_at(self, positions: Sequence[int]) -> list[str]:
        """The phrases at `positions`; faster than one by one."""
        chosen = [""] * len(positions)
        homes = np.searchsorted(self._borders, positions, side="right") - 1  # [n]: number of each phrase's bank
        for home in np.unique(homes).tolist():
            here = np.flatnonzero(homes == home)
            own = (np.asarray(positions)[here] - self._borders[home]).tolist()
            phrases = self._banks[home].phrases
            texts = phrases.at(own) if isinstance(phrases, Phrases) else [phrases[index] for index in own]
            for index, text in zip(here.tolist(), texts, strict=True):
                chosen[index] = text
        return chosen

    def embeddings(self, positions: Sequence[int] | Positions) -> Tensor:
        """The embeddings of the phrases at `positions` [n]: float32 [n, D], on the device of the rows."""
        return self.rows.at(positions).float()

    @cached_property
    def _tokens(self) -> tuple[npt.NDArray[np.int32], npt.NDArray[np.int64]] | None:
        """Token ids of all phrases, int32 [T], and where each phrase ends in them, int64 [N]."""
        return (self._notes[_TOKEN_IDS](), self._notes[_TOKEN_ENDS]()) if _TOKEN_IDS in self._notes else None

    def tokens(
        self, positions: Sequence[int] | Positions
    ) -> tuple[npt.NDArray[np.int32], npt.NDArray[np.int64]] | None:
        """Token ids of the phrases at `positions` [n] in the form of `TokenCache.token_ids`; None if not saved."""
        return self._tokens and tokens_at(np.asarray(positions, dtype=np.int64), *self._tokens)

    def groups(self) -> list[Positions]:
        """The positions in `merged`, bank by bank; a bank without any is left out."""
        parts = np.split(self.merged, np.searchsorted(self.merged, self._borders[1:-1]))
        return [part for part in parts if len(part)]

    def slot(self, role: str) -> Positions:
        """Positions of the phrases that may fill a slot: artists, mediums, movements, sites, flavors or negative."""
        return self._positions_of(bank.role == role for bank in self._banks)

    def bank(self, name: str) -> Positions:
        """Positions of the phrases of a bank, or of all banks of a role.

        Raises:
            BankError: the table has no such bank.
        """
        positions = self._positions_of(name in (bank.name, bank.role) for bank in self._banks)
        if not len(positions):
            names = dict.fromkeys(bank.name for bank in self._banks if len(bank))
            raise BankError(f"unknown bank {name!r}; choose from {', '.join(names)}")
        return positions

    def top(self, scores: Scores, positions: Positions | Sequence[int], k: int) -> list[int]:
        """The `k` of `positions`, ascending, with the highest scores, highest first, within the quota of each bank."""
        return scores.highest(self._within_quota(scores, np.asarray(positions, dtype=np.int64)), k)

    def candidates(self, scores: Scores, positions: Positions | Sequence[int], k: int) -> list[int]:
        """The `k` of `positions`, ascending, with the highest scores, in bank order; the search enforces quotas."""
        return sorted(scores.highest(positions, k))

    def _within_quota(self, scores: Scores, positions: Positions) -> Positions:
        """`positions` without those beyond the quota of their bank, best first; exact for any selection by score."""
        homes = np.searchsorted(self._borders, positions, side="right") - 1  # [n]: number of each phrase's bank
        for name in {bank.name for bank in self._banks if bank.quota is not None}:
            own = [number for number, bank in enumerate(self._banks) if bank.name == name]
            here = np.isin(homes, own)  # [n]
            quota = self._banks[own[0]].quota
            if quota is not None and quota < np.count_nonzero(here):
                stays = ~here | np.isin(positions, scores.highest(positions[here], quota))
                positions, homes = positions[stays], homes[stays]
        return positions

    def _positions_of(self, chosen: Iterable[bool]) -> Positions:
        """Positions of the phrases of the chosen banks, ascending."""
        ranges = zip(self._borders[:-1], self._borders[1:], chosen, strict=True)
        return np.concatenate([np.arange(0), *(np.arange(start, end) for start, end, is_in in ranges if is_in)])

    def _phrase_list(self, encoder: object) -> PhraseList:
        notes: dict[str, Callable[[], npt.NDArray[np.int32] | npt.NDArray[np.int64]]] = {_MERGED: cache(self._merge)}
        if isinstance(encoder, TokenCache):
            tokens = cache(lambda: encoder.token_ids(self.texts))
            notes |= {_TOKEN_IDS: lambda: tokens()[0], _TOKEN_ENDS: lambda: tokens()[1]}
        lists = [(bank.digest, len(bank), bank.role == NEGATIVE) for bank in self._banks]
        digest = hashlib.sha256(json.dumps([_NOTES_VERSION, lists]).encode()).hexdigest()[:32]
        return PhraseList(self.texts, digest, notes)

    def _merge(self) -> npt.NDArray[np.int32]:
        positions = self._positions_of(bank.role != NEGATIVE for bank in self._banks)
        texts = (text for bank in self._banks if bank.role != NEGATIVE for text in bank.phrases)
        return np.array(_first_of_each(positions.tolist(), texts), dtype=np.int32)


def _first_of_each(positions: Iterable[int], texts: Iterable[str]) -> list[int]:
    """The `positions` whose text, ignoring case, does not occur earlier."""
    first: dict[str, int] = {}
    for position, text in zip(positions, texts, strict=True):
        first.setdefault(text.casefold(), position)
    return list(first.values())
