"""Words that a captioner never generates, whatever their case or word pieces.

A vocabulary of word pieces (Wu et al., arXiv 1609.08144) can spell a word in many ways: `cat`, `ca ##t`, `c ##at`.
Instead of token sequences, this forbids any token that would complete a forbidden word in the text so far.
"""

from __future__ import annotations

import unicodedata
from collections.abc import Collection, Iterable, Sequence
from typing import Any

from ...errors import RequestError

_GOES_ON = "##"  # prefix of a piece that continues the word before it


class ForbiddenWords:
    """Determines which tokens must not come next in a text, so that it contains none of the given words and phrases.

    Texts are split like in BERT's basic tokenizer: into words, and punctuation marks one by one. A word is forbidden
    even if its pieces could continue: with `cat` forbidden, `cat ##fish` cannot be generated from these pieces, but a
    single token `catfish` can.
    """

    def __init__(self, phrases: Sequence[str], tokenizer: Any) -> None:
        """Forbid phrases of one or more words, for a BERT tokenizer.

        Raises RequestError: a phrase is empty.
        """
        self._phrases = [_words(phrase) for phrase in dict.fromkeys(phrases)]
        if not all(self._phrases):
            raise RequestError("forbidden words must not be empty")
        self._pieces: dict[int, str] = {}
        self._ids: dict[str, list[int]] = {}
        self._mixed: list[int] = []
        if self._phrases:
            special = set(tokenizer.all_special_ids)  # omitted when the text is decoded
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
        banned = [token for token in self._mixed if self._completes(words, self._pieces[token])]
        for *before, last in self._phrases:
            if _ends_with(words, before):
                banned += self._ids.get(last, ())
                if not words or _is_sign(words[-1]) or _is_sign(last):  # after a sign, a piece also begins a word
                    banned += self._ids.get(_GOES_ON + last, ())
            if words and _ends_with(words[:-1], before) and last.startswith(words[-1]):
                banned += self._ids.get(_GOES_ON + last[len(words[-1]) :], ())
        return banned

    def _add(self, token_id: int, piece: str) -> None:
        self._pieces[token_id] = piece
        if len(_words(piece.removeprefix(_GOES_ON))) > 1:
            self._mixed.append(token_id)  # words and signs in one token: in BERT, only special tokens
        else:
            self._ids.setdefault(piece, []).append(token_id)

    def _completes(self, words: list[str], piece: str) -> bool:
        longer = words[-max(map(len, self._phrases)) :]
        before = len(longer)
        _go_on(longer, piece)
        ends = range(before, len(longer) + 1)
        return any(_ends_with(longer[:end], phrase) for phrase in self._phrases for end in ends)


def _go_on(words: list[str], piece: str) -> None:
    """Add a word piece to the words of a text, in token_id."""
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
    """Whether it is a character that is always its own word: punctuation as BERT defines it, or a CJK character."""
    if len(word) != 1:
        return False
    ascii_sign = word.isascii() and word.isprintable() and not word.isalnum() and word != " "
    return ascii_sign or unicodedata.category(word).startswith("P") or 0x3400 <= ord(word) <= 0x9FFF


def _ends_with(words: list[str], end: list[str]) -> bool:
    return not end or words[-len(end) :] == end


def _plain(text: str) -> str:
    """Lower case without accents, like in BERT's uncased tokenizer."""
    parts = unicodedata.normalize("NFD", text.lower())
    return "".join(part for part in parts if unicodedata.category(part) != "Mn")
