"""What the pictures of a collection share, and what each has of its own."""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np
from torch import Tensor

from ..evidence import COMMON, Overview, PhraseEvidence, claims_of, in_order, probabilities, select
from ..models import Encoder
from ..ranking import similarities
from ..rows import Positions
from .holding import Holding, check_finite, holding
from .interrogation import RankedPhrase
from .phrase_table import PhraseTable

# Of each picture, the surest phrases that are kept until all are counted: 50,000 pictures take 60 MB.
_KEPT = 128
_CHUNK = 4096
_ARTICLE = re.compile(r"^(?:an?|the)\s+", re.IGNORECASE)


@dataclass(frozen=True)
class SharedPhrase:
    """A phrase or claim, and the share of the pictures that it holds for.

    Attributes:
        bank: of the phrase; "" for a claim of the captions.
    """

    text: str
    bank: str
    share: float


@dataclass(frozen=True)
class Compared:
    """What pictures have in common, and what each has of its own.

    Attributes:
        pictures: how many there are.
        common: phrases that hold for nearly all of them, those of most pictures first.
        claims: what nearly all captions claim, without articles.
        distinctive: of each picture the phrases that hold for it and for few others, the one that tells most first.
        own_claims: of each picture what its caption claims and few other captions do.
    """

    pictures: int
    common: list[SharedPhrase]
    claims: list[SharedPhrase]
    distinctive: list[list[RankedPhrase]]
    own_claims: list[list[str]]


def held_by(
    table: PhraseTable, encoder: Encoder, embedding: Tensor, caption: str, evidence: PhraseEvidence | None,
    strictness: float,
) -> Holding:  # fmt: skip
    """The phrases that hold for a picture by evidence.

    evidence: of the phrases of the table; None lets the claims of the caption show what is similar enough, and of a
        picture without a caption nothing is known.

    Raises CaptionError: the embedding is not finite.
    """
    check_finite(embedding)
    claims = claims_of(caption) if evidence is None else []
    own = similarities(embedding, encoder.encode_texts(claims)).tolist() if claims else []
    return holding(table, table.scores(embedding), evidence, strictness, own)


def common_phrases(table: PhraseTable, overview: Overview, top: int, least: float = COMMON) -> list[SharedPhrase]:
    """The phrases of a table that hold for nearly all pictures, those of most pictures first.

    Of phrases that mean the same, exclude each other or are too many of a bank there are those of most pictures.
    """
    found = overview.common(least)
    positions = _positions_of(table, set(found))
    chosen = np.array([positions[text] for text in found if text in positions], dtype=np.int64)
    shares = [overview.share(text) for text in found if text in positions]
    held = Holding.of(table, chosen, shares).held
    taken = select(held, table.embeddings(chosen), "", [], table.embeddings([]))[:top]
    return [SharedPhrase(held[index].text, held[index].bank, shares[index]) for index in taken]


def ordered(table: PhraseTable, phrases: Sequence[SharedPhrase]) -> list[SharedPhrase]:
    """Shared phrases in the order in which people write prompts."""
    positions = _positions_of(table, {phrase.text for phrase in phrases})
    chosen = np.array([positions[phrase.text] for phrase in phrases], dtype=np.int64)
    held = Holding.of(table, chosen, [0.0] * len(phrases)).held
    return [phrases[index] for index in in_order(held, range(len(held)))]


def distinctive_phrases(table: PhraseTable, found: Holding, overview: Overview, top: int) -> list[RankedPhrase]:
    """The phrases that hold for one picture and for less than half of all, the one that tells most first.

    The similarity of each is not known here and 0.
    """
    sure = probabilities(np.array([each.odds for each in found.held], dtype=np.float32))
    told = [overview.surprise(each.text, known) for each, known in zip(found.held, sure, strict=True)]
    kept = [index for index, bits in enumerate(told) if bits > 0]
    held = [replace(found.held[index], odds=told[index]) for index in kept]
    rows = table.embeddings(found.positions[kept])
    return [
        RankedPhrase(held[index].text, held[index].bank, 0.0, sure[kept[index]])
        for index in select(held, rows, "", [], table.embeddings([]))[:top]
    ]


class Survey:
    """Takes in pictures a few at a time; then says what they share and what each has of its own.

    What is kept of a picture are the phrases that hold for it, at most 128, and the claims of its caption.
    """

    def __init__(
        self, table: PhraseTable, encoder: Encoder, evidence: PhraseEvidence | None, strictness: float
    ) -> None:  # fmt: skip
        """Nothing is counted yet; arguments as of `held_by`."""
        self._table = table
        self._encoder = encoder
        self._evidence = evidence
        self._strictness = strictness
        self._phrases, self._claims = Overview(), Overview()
        self._held: list[tuple[Positions, np.ndarray]] = []
        self._claimed: list[tuple[str, ...]] = []

    def add(self, embedding: Tensor, caption: str = "") -> None:
        """Count one more picture. Raises CaptionError: its embedding is not finite."""
        found = held_by(self._table, self._encoder, embedding, caption, self._evidence, self._strictness)
        self._phrases.add(each.text for each in found.held)
        odds = np.array([each.odds for each in found.held], dtype=np.float32)
        surest = np.sort(np.argsort(-odds, kind="stable")[:_KEPT])
        self._held.append((found.positions[surest].astype(np.int32), odds[surest]))
        claims = tuple(dict.fromkeys(_ARTICLE.sub("", claim.casefold()) for claim in claims_of(caption)))
        if claims:
            self._claims.add(claims)
        self._claimed.append(claims)

    def compared(self, top: int, least: float = COMMON) -> Compared:
        """What the pictures so far share and have of their own.

        Args:
            top: phrases and claims at most, in common and of each picture.
            least: share of the pictures from which on something is common.
        """
        claims = [SharedPhrase(text, "", self._claims.share(text)) for text in self._claims.common(least)]
        return Compared(
            self._phrases.pictures,
            common_phrases(self._table, self._phrases, top, least),
            claims[:top],
            [self._distinctive(positions, odds, top) for positions, odds in self._held],
            [self._own(claimed)[:top] for claimed in self._claimed],
        )

    def _distinctive(self, positions: Positions, odds: np.ndarray, top: int) -> list[RankedPhrase]:
        wide = positions.astype(np.int64)
        return distinctive_phrases(self._table, Holding.of(self._table, wide, odds.tolist()), self._phrases, top)

    def _own(self, claimed: Sequence[str]) -> list[str]:
        told = {text: self._claims.surprise(text, 1.0) for text in claimed}
        return sorted((text for text, bits in told.items() if bits > 0), key=lambda text: -told[text])


def _positions_of(table: PhraseTable, wanted: set[str]) -> dict[str, int]:
    """By text, where those of the wanted phrases stand that the table has."""
    found: dict[str, int] = {}
    for start in range(0, len(table.merged) if wanted else 0, _CHUNK):
        chunk = table.merged[start : start + _CHUNK].tolist()
        found |= {text: position for text, position in zip(table.texts_at(chunk), chunk, strict=True) if text in wanted}
    return found
