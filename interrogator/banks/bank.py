"""PhraseBank: a named, ordered list of phrases without duplicates."""

from __future__ import annotations

import re
import unicodedata
from bisect import bisect_right
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace
from itertools import chain
from os import PathLike
from pathlib import Path

from ..errors import BankError
from ..phrases import Phrases
from .formats import is_artists_table, read_phrases
from .saved_lists import saved_or_read

FLAVORS = "flavors"
NEGATIVE = "negative"

ROLES = ("artists", "mediums", "movements", "sites", FLAVORS, NEGATIVE)
"""The slots of a prompt that banks fill."""

# Bank name -> slot; every other bank fills the slot flavors. `trendings` is the reference library's name for sites.
_WORD, _BEFORE_A_WORD, _AFTER_A_WORD = re.compile(r"\w+"), re.compile(r"(?<!\w)"), re.compile(r"(?!\w)")
_ROLES = {
    "artists": "artists",
    "mediums": "mediums",
    "movements": "movements",
    "sites": "sites",
    "trendings": "sites",
    "negative": NEGATIVE,
}


@dataclass(frozen=True)
class PhraseBank:
    """A named, ordered list of phrases; the order breaks ties, so it affects results.

    Attributes:
        name: the name by which it is switched on and off.
        phrases: the phrases, distinct ignoring case: a tuple, or a `Phrases`, which equals one.
        quota: maximum number of its phrases in a prompt; None is no limit.
    """

    name: str
    phrases: Sequence[str]
    quota: int | None = None

    @property
    def role(self) -> str:
        """The slot its phrases fill: artists, mediums, movements, sites, flavors or negative."""
        return role_of(self.name)

    @property
    def digest(self) -> str:
        """32 hex characters that identify the phrases and their order; stored with saved lists."""
        return (self.phrases if isinstance(self.phrases, Phrases) else Phrases.of(self.phrases)).digest

    def __len__(self) -> int:
        return len(self.phrases)

    @classmethod
    def from_phrases(cls, name: str, phrases: Iterable[str]) -> PhraseBank:
        """A bank of the given phrases in order, without empty ones and duplicates (ignoring case)."""
        return cls(name, tuple(_distinct(" ".join(phrase.split()) for phrase in phrases)))

    @classmethod
    def from_file(cls, path: str | PathLike[str]) -> PhraseBank:
        """A bank named after the file: one phrase per line, `# ` comments; a `.json` list of strings; or a csv.

        A csv goes by its header: a table of artists (name, born, died, movements), any table with a column `phrase`,
        or a WD tagger's `selected_tags.csv`, whose tags are read with spaces for underscores.

        Bare names in a list called `artists.txt` (the reference library's) become `by NAME` and
        `inspired by NAME`, as they do there; names in a csv of artists become `by NAME`.

        Raises:
            BankError: the file is missing, not UTF-8, not a valid table, or contains no phrase.
        """
        path = Path(path)
        return cls(path.stem, saved_or_read(path, lambda: _read(path)))

    def without(self, block_list: Iterable[str]) -> PhraseBank:
        """The bank without phrases that contain an entry of the block list as whole words, ignoring case."""
        entries = frozenset(composed(" ".join(entry.split())).casefold() for entry in block_list) - {""}
        if not entries:
            return self
        blocked = _Entries(entries)
        return replace(self, phrases=tuple(phrase for phrase in self.phrases if not blocked.are_in(phrase.casefold())))

    def limited(self, n: int | None) -> PhraseBank:
        """The bank with a quota: a prompt takes at most `n` of its phrases (None: no limit).

        Raises:
            BankError: `n` is negative.
        """
        if n is not None and n < 0:
            raise BankError(f"the quota of {self.name} must be at least 0, got {n}; 0 switches the bank off")
        return replace(self, quota=n)

    def merged(self, other: PhraseBank) -> PhraseBank:
        """This bank followed by the phrases of `other` that it lacks; keeps its own name and quota."""
        return replace(self, phrases=tuple(_distinct(chain(self.phrases, other.phrases))))


def role_of(name: str) -> str:
    """The slot that a bank of this name fills: one of `ROLES`."""
    return _ROLES.get(name, FLAVORS)


def by(name: str) -> str:
    """The form of an artist's name in a prompt."""
    return f"by {name}"


def _read(path: Path) -> Phrases:
    phrases = [phrase for _, phrase in read_phrases(path)]
    if is_artists_table(path):
        phrases = [by(name) for name in phrases]
    elif path.stem == "artists" and not any(phrase.lower().startswith("by ") for phrase in phrases):
        phrases = [by(name) for name in phrases] + [f"inspired by {name}" for name in phrases]
    if not phrases:
        raise BankError(f"{path}: the list contains no phrases")
    return Phrases.of(_distinct(phrases))


def composed(text: str) -> str:
    """A text in Unicode's form NFC, in which an accented letter is one character."""
    return text if text.isascii() else unicodedata.normalize("NFC", text)


class _Entries:
    """Texts that a phrase may contain as whole words; finding one takes no longer where there are many."""

    def __init__(self, entries: frozenset[str]) -> None:
        self._entries = entries
        self._longest = max(map(len, entries))
        first = [_WORD.search(entry) for entry in entries]
        self._words = {match.group() for match in first if match}
        self._wordless = None in first

    def are_in(self, text: str) -> bool:
        """Whether a text contains one of them."""
        if not self._wordless and self._words.isdisjoint(_WORD.findall(text)):
            return False
        ends = [match.start() for match in _AFTER_A_WORD.finditer(text)]
        for match in _BEFORE_A_WORD.finditer(text):
            start = match.start()
            for end in ends[bisect_right(ends, start) : bisect_right(ends, start + self._longest)]:
                if text[start:end] in self._entries:
                    return True
        return False


def _distinct(phrases: Iterable[str]) -> Iterable[str]:
    """The phrases in Unicode's form NFC, without empty ones and duplicates, ignoring case."""
    first: dict[str, str] = {}
    for phrase in map(composed, phrases):
        if phrase:
            first.setdefault(phrase.casefold(), phrase)
    return first.values()
