"""Words that a captioner never writes, however they are cased or cut into word pieces.

A vocabulary of word pieces (Wu et al., arXiv 1609.08144) can spell a word in many ways: `cat`, `ca ##t`, `c ##at`. So
it is not sequences of tokens that are forbidden, but tokens that would complete a forbidden word in the text so far.
"""

from __future__ import annotations

import unicodedata
from collections.abc import Collection, Iterable, Sequence
from typing import Any

from ...errors import RequestError

_GOES_ON = "##"  # what a piece starts with that goes on with the word before it


class ForbiddenWords:
    """Which tokens may not come next in a text, so that none of some words and phrases comes up in it.

    Texts are taken as BERT's basic tokenizer parts them: words, and each sign by itself. A word is forbidden where its
    pieces stop and also where they could go on: with `cat` forbidden, `cat ##fish` cannot be written in these pieces; a
    single token `catfish` can.
    """

    def __init__(self, phrases: Sequence[str], tokenizer: Any) -> None:
        """Take in phrases, of one word or more, for a BERT tokenizer.

        Raises RequestError: a phrase with nothing in it.
        """
        self._phrases = [_words(phrase) for phrase in dict.fromkeys(phrases)]
        if not all(self._phrases):
            raise RequestError("a forbidden word has to have letters or signs in it")
        self._pieces: dict[int, str] = {}
        self._ids: dict[str, list[int]] = {}
        self._mixed: list[int] = []
        if self._phrases:
            special = set(tokenizer.all_special_ids)  # left out of the text when it is decoded
            for token, token_id in tokenizer.get_vocab().items():
                if token_id not in special:
                    self._add(token_id, _plain(token))

    def __bool__(self) -> bool:
        return bool(self._phrases)

    def after(self, tokens: Iterable[int]) -> Collection[int]:
        """The ids of the tokens that would complete a forbidden phrase in the text of `tokens`."""
        words: list[str] = []
        for token in tokens:
            _go_on(words, self._pieces.get(token, ""))
        found = [token for token in self._mixed if self._completes(words, self._pieces[token])]
        for *before, last in self._phrases:
            if _ends_with(words, before):
                found += self._ids.get(last, ())
                if not words or _is_sign(words[-1]) or _is_sign(last):  # after a sign, a piece begins a word, too
                    found += self._ids.get(_GOES_ON + last, ())
            if words and _ends_with(words[:-1], before) and last.startswith(words[-1]):
                found += self._ids.get(_GOES_ON + last[len(words[-1]) :], ())
        return found

    def _add(self, token_id: int, piece: str) -> None:
        self._pieces[token_id] = piece
        if len(_words(piece.removeprefix(_GOES_ON))) > 1:
            self._mixed.append(token_id)  # words and signs in one token: BERT has none but special ones
        else:
            self._ids.setdefault(piece, []).append(token_id)

    def _completes(self, words: list[str], piece: str) -> bool:
        longer = words[-max(map(len, self._phrases)) :]
        there = len(longer)
        _go_on(longer, piece)
        ends = range(there, len(longer) + 1)
        return any(_ends_with(longer[:end], phrase) for phrase in self._phrases for end in ends)


def _go_on(words: list[str], piece: str) -> None:
    """Add a word piece to the words of a text, in place."""
    glued = piece.startswith(_GOES_ON) and piece != _GOES_ON
    new = _words(piece.removeprefix(_GOES_ON) if glued else piece)
    if glued and new and words and not _is_sign(words[-1]) and not _is_sign(new[0]):
        words[-1] += new.pop(0)
    words += new


def _words(text: str) -> list[str]:
    """The words and signs of a text, in plain lower case."""
    spaced = "".join(f" {character} " if _is_sign(character) else character for character in _plain(text))
    return spaced.split()


def _is_sign(word: str) -> bool:
    """Whether it is a character that stands by itself: punctuation as BERT takes it, or a Chinese character."""
    if len(word) != 1:
        return False
    ascii_sign = word.isascii() and word.isprintable() and not word.isalnum() and word != " "
    return ascii_sign or unicodedata.category(word).startswith("P") or 0x3400 <= ord(word) <= 0x9FFF


def _ends_with(words: list[str], end: list[str]) -> bool:
    return not end or words[-len(end) :] == end


def _plain(text: str) -> str:
    """Lower case without accents, as BERT's uncased tokenizer takes it."""
    parts = unicodedata.normalize("NFD", text.lower())
    return "".join(part for part in parts if unicodedata.category(part) != "Mn")
