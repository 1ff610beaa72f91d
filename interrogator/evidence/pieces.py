"""Text cut at its punctuation: sentences, and in them the pieces between commas, each a list of words with spans."""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass, field
from functools import cached_property


@dataclass(frozen=True)
class Word:
    """A word, or a quotation, and its span in the text."""

    text: str
    start: int
    end: int

    @cached_property
    def lower(self) -> str:
        """As word lists have it."""
        return self.text.casefold().strip("()'’")


@dataclass
class Piece:
    """What is between two commas, and how it ends: at a comma, or at the end of its sentence."""

    words: list[Word] = field(default_factory=list)
    ends_sentence: bool = False


# Emphasis, networks, and what separates: all replaced by as many characters, so that spans stay those of the caption.
_NETWORK = re.compile(r"<[^<>\n]{1,200}>")
_WEIGHT = re.compile(r":\s*[+-]?\d*\.?\d+\s*(?=[)\]}])")
_BRACKET = re.compile(r"(?<![\\_\w])[(\[{]+|(?<!\\)[)\]}]+")
_QUALIFIER = re.compile(r"(?<=\w)_\([^()\n]{1,80}\)")
_KEYWORD = re.compile(r"\b(?:BREAK|AND)\b")
_CHARACTERS = str.maketrans(
    {
        "、": ",", "，": ",", "،": ",", "・": ",", "。": "\n", "！": "\n", "？": "\n", "；": "\n", "।": "\n", "؟": "\n",
        "“": '"', "”": '"', "„": '"', "«": '"', "»": '"', "「": '"', "」": '"', "*": " ", "#": " ", "`": " ", "•": "\n",
        "—": ",", "–": ",", "|": ",", ";": ",", "\r": "\n", "’": "'",
    }
)  # fmt: skip


def without_markup(text: str) -> str:
    """The text without emphasis, markup and networks, blank where they were: as long as before."""
    plain = _NETWORK.sub(lambda found: " " * len(found[0]), text.translate(_CHARACTERS))
    plain = _KEYWORD.sub(lambda found: "\n" + " " * (len(found[0]) - 1), plain)
    plain = _WEIGHT.sub(lambda found: " " * len(found[0]), plain)
    kept = {at for found in _QUALIFIER.finditer(plain) for at in (found.start() + 1, found.end() - 1)}
    return _BRACKET.sub(
        lambda found: "".join(each if found.start() + at in kept else " " for at, each in enumerate(found[0])), plain
    )


# A quotation is one word; a comma between digits belongs to the number.
_TOKEN = re.compile(r'"[^"\n]{1,300}"|[,\n]|(?:(?<=\d),(?=\d{3}\b)|[^\s,"])+|"')
_ENDING = re.compile(r"[.!?…:]+$")
_ABBREVIATION = re.compile(r"^(?:mr|mrs|ms|dr|st|vs|no|jr|sr|approx|e\.g|i\.e|[a-z])\.$", re.IGNORECASE)


def _pieces(plain: str) -> Iterator[Piece]:
    """What is between commas and sentence ends. A label such as `Background:` is left out."""
    piece = Piece()
    for found in _TOKEN.finditer(plain):
        token = found[0]
        if token in {",", "\n", '"', "-", "--"}:
            piece.ends_sentence = token == "\n"
            yield piece
            piece = Piece()
            continue
        ending = None if _ABBREVIATION.match(token) else _ENDING.search(token)
        whole = Word(token[: ending.start()] if ending else token, found.start(), found.start() + len(token))
        word = Word(whole.text, whole.start, whole.start + len(whole.text))
        if word.text:
            piece.words.append(word)
        if ending:
            is_label = ending[0] == ":" and len(piece.words) <= 3
            yield Piece([] if is_label else piece.words, ends_sentence=True)
            piece = Piece()
    piece.ends_sentence = True
    yield piece


def sentences(plain: str) -> Iterator[list[Piece]]:
    """The pieces of a text without markup by sentence; none is empty."""
    sentence: list[Piece] = []
    for piece in _pieces(plain):
        if piece.words:
            sentence.append(piece)
        if piece.ends_sentence and sentence:
            yield sentence
            sentence = []
    if sentence:
        yield sentence
