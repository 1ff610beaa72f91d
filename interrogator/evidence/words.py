"""Strings only: what a caption claims, and words of which one thing has one."""

from __future__ import annotations

import re

from .claims import split_claims

_WORD = re.compile(r"[^\W_]+")

_COLORS = frozenset(
    """
    red orange yellow green blue purple pink white black gray grey brown beige teal cyan turquoise lavender violet
    magenta maroon navy gold golden silver cream ivory scarlet crimson indigo olive mauve peach coral tan blond blonde
    """.split()
)
_SMALL = frozenset("a an the of in on with and by".split())


def claims_of(caption: str) -> list[str]:
    """The texts of what a caption claims, each once, in order."""
    return list(dict.fromkeys(claim.text for claim in split_claims(caption)))


def _content(text: str) -> list[str]:
    """The words of a text in order, casefolded, without articles and the like."""
    return [word for word in _WORD.findall(text.casefold()) if word not in _SMALL]


def says(caption: str, phrase: str) -> bool:
    """Whether every word of a phrase is in the caption, so that the phrase adds none."""
    said = set(_WORD.findall(caption.casefold()))
    return set(_content(phrase)) <= said


def color_of(phrase: str) -> tuple[str, str] | None:
    """The thing and the colour of a phrase such as `yellow wings`: ("wings", "yellow"); None if it names no colour.

    A phrase that is a colour alone is about the whole picture, which has several; it excludes none.
    """
    content = _content(phrase)
    colors = [word for word in content if word in _COLORS]
    things = [word for word in content if word not in _COLORS]
    return (" ".join(things), " ".join(colors)) if colors and things else None


def contradicts(phrase: str, other: str) -> bool:
    """Whether two phrases give one thing different colours."""
    first, second = color_of(phrase), color_of(other)
    return first is not None and second is not None and first[0] == second[0] and first[1] != second[1]
