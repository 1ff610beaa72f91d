"""The words of a text in any script: splitting, finding, tidying."""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Sequence
from dataclasses import dataclass
from functools import lru_cache

# A comma parts phrases, but not the digits of 1,000.
_TOKEN = re.compile(r"(?:[^\s,]|(?<=\d),(?=\d))+|,")
# Of the letters that `_Kinds` gives: a number with points in it, a character of a script without spaces, or a word
# with apostrophes and hyphens in it.
_WORD = re.compile(r"d+(?:,d+)+(?![wdm])|im*|[wd][wdm]*(?:'[wd][wdm]*)*")
# Scripts that write no spaces: each of their characters counts as a word.
_UNSPACED = (
    (0x0E00, 0x0EFF), (0x1000, 0x109F), (0x1780, 0x17FF), (0x3040, 0x30FF), (0x31F0, 0x31FF), (0x3400, 0x4DBF),
    (0x4E00, 0x9FFF), (0xF900, 0xFAFF), (0x20000, 0x3FFFF),
)  # fmt: skip
_LONGEST_UNIT = 6
_CLOSING = ".,;:!?)]}%…。、，！？；：）」』"  # no space before these
_OPENING = "([{（「『"  # and none behind these
_STOPS = ".!?…。！？"


class _Kinds(dict[int, str]):
    """From a character to a letter for its kind, found out when it is first met."""

    def __missing__(self, code: int) -> str:
        self[code] = kind = _kind(chr(code))
        return kind


def _kind(character: str) -> str:
    category = unicodedata.category(character)
    if category[0] == "M" or character in "\u00ad\u200c\u200d":  # marks, soft hyphens, joiners: inside a word
        return "m"
    if any(first <= ord(character) <= last for first, last in _UNSPACED) and category[0] == "L":
        return "i"
    if category == "Nd":
        return "d"
    if category[0] in "LN" or character == "_":
        return "w"
    return {"'": "'", "\u2019": "'", "-": "'", "\u2010": "'", ".": ",", ",": ","}.get(character, " ")


_KINDS = _Kinds()


@lru_cache(maxsize=256)  # of one caption several things are asked, and of all captions the same words
def split_words(text: str) -> tuple[str, ...]:
    """The words of a text in any script, casefolded: `It's 1,000 well-lit cats` -> it's 1,000 well-lit cats.

    A character of Chinese, Japanese, Thai and other scripts that write no spaces is a word of its own.
    """
    text = unicodedata.normalize("NFC", text.casefold())
    return tuple(text[found.start() : found.end()] for found in _WORD.finditer(text.translate(_KINDS)))


def holds(text: str, phrase: str) -> bool:
    """Whether a word or phrase stands in a text, as whole words; case does not count, `man` stands in `man's`."""
    if _folded(phrase) not in _folded(text):
        return False
    wanted, there = split_words(phrase), split_words(text)
    starts = range(len(there) - len(wanted) + 1)
    return any(all(map(_same, wanted, there[start:])) for start in starts)


@lru_cache(maxsize=256)
def _folded(text: str) -> str:
    return " ".join(unicodedata.normalize("NFC", text.casefold()).split())


def _same(wanted: str, there: str) -> bool:
    return wanted == there or wanted == there.removesuffix("'s").removesuffix("\u2019s")


def repeated(text: str) -> str:
    """What a caption says over and over, as a broken captioner does; "" if nothing.

    That is a word three times in a row, or two to six words that directly follow themselves: `a bald bald bald man`,
    `a dog and a dog and a dog`. Of scripts without spaces it takes three characters, for they double many.
    """
    words = split_words(text)
    for start in range(len(words) - 1):
        if words[start : start + 3] == (words[start],) * 3:
            return words[start]
        for size in range(2, min(_LONGEST_UNIT, (len(words) - start) // 2) + 1):
            if words[start] != words[start + size]:
                continue
            unit = words[start : start + size]
            if unit == words[start + size : start + 2 * size] and len(set(unit)) > 1 and not _is_doubling(unit):
                return " ".join(unit)
    return ""


def _is_doubling(unit: Sequence[str]) -> bool:
    return len(unit) == 2 and all(_KINDS[ord(word[0])] == "i" for word in unit)


def tidy(text: str) -> str:
    """The text on one line, with one space between words and one comma between phrases, none at either end."""
    return shown(tokens_of(text))


@dataclass(frozen=True)
class Token:
    """What stands between two spaces, and whether a comma follows."""

    text: str
    comma: bool = False


def tokens_of(text: str) -> list[Token]:
    """The tokens of a text, without commas that part nothing."""
    tokens: list[Token] = []
    for found in _TOKEN.findall(text.encode("utf-8", "replace").decode()):  # a file name may hold lone surrogates
        if found != ",":
            tokens.append(Token(found))
        elif tokens:
            tokens[-1] = Token(tokens[-1].text, comma=True)
    return tokens


def shown(tokens: Sequence[Token]) -> str:
    """The text that these tokens make."""
    inside = [token.text + ("," if token.comma else "") for token in tokens[:-1]]
    return " ".join([*inside, *(token.text for token in tokens[-1:])])


def glued(before: str, after: str) -> str:
    """Two texts as one: with a space between them, unless one brings its own or is punctuation that takes none.

    A stop behind a stop is left out: `a cat!` and `.` are `a cat!`.
    """
    if before.rstrip().endswith(tuple(_STOPS)):
        after = after.lstrip(_STOPS)
    if not (before and after):
        return before + after
    is_closing = after[0] in _CLOSING and not (after[1:2].isascii() and after[1:2].isalnum())  # .5 and :3 close nothing
    is_close = before[-1].isspace() or after[0].isspace() or before[-1] in _OPENING or is_closing
    return before + after if is_close else f"{before} {after}"


def whole(phrase: str) -> re.Pattern[str]:
    """Finds a phrase as whole words; next to a script without spaces there is no border to find."""
    parts = phrase.split()
    before = r"(?<![\w-])" if _KINDS[ord(parts[0][0])] in "wd" else ""
    after = r"(?![\w-])" if _KINDS[ord(parts[-1][-1])] in "wdm" else ""
    return re.compile(before + r"\s+".join(map(re.escape, parts)) + after, re.IGNORECASE)
