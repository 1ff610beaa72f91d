"""What is done to the letters and words of a line; wildcards `{a|b}` and `|||` stay what they are."""

from __future__ import annotations

import re
from collections.abc import Callable

from ...captioners.strip import strip_words
from ...prompts import escape_brackets, unescape_brackets
from ...taggers.wording import KAOMOJI
from ..text.tags import as_trained, changed, spans, tags_of
from ..text.words import holds, whole

_SCORE = re.compile(r"score_\d+(_up)?|source_\w+|rating_\w+", re.IGNORECASE)  # words that Pony was trained on
_LONG_TAG = 4  # words; what is longer on average is a sentence
_WEIGHTED = re.compile(r"(?<!\\)\(([^()]*):\s*\d*\.?\d+\s*\)")


def replaced(line: str, pattern: re.Pattern[str], new: str) -> str:
    """The line with what the pattern finds replaced."""
    return pattern.sub(new, line)


def without_words(line: str, words: str) -> str:
    """The line without a word or phrase, whatever its case; what only consisted of it goes as a whole."""
    pattern = whole(words)
    if not pattern.search(line):
        return line

    def shortened(tags: list[str]) -> list[str]:
        kept = (tag if not pattern.search(tag) else _shortened(tag, words, pattern) for tag in tags)
        return [tag for tag in kept if tag]

    return changed(line, shortened)


def _shortened(tag: str, words: str, pattern: re.Pattern[str]) -> str:
    if spans(tag):  # in a wildcard the alternative may end up empty, which picks nothing
        return pattern.sub("", tag)
    rest = pattern.sub("", tag)
    return strip_words(tag, [words]) if re.search(r"\w", rest) else ""


def without_tags_of(line: str, words: str) -> str:
    """The line without the tags that hold a word or phrase."""
    return changed(line, lambda tags: [tag for tag in tags if not holds(tag, words)]) if holds(line, words) else line


def with_spaces(tag: str) -> str:
    """A tag with spaces for underscores; kaomoji and the scores of Pony stay."""
    return tag if tag in KAOMOJI or _SCORE.fullmatch(tag) else tag.replace("_", " ").strip() or tag


def with_underscores(tag: str) -> str:
    """A tag with underscores for spaces; a wildcard stays."""
    return tag if spans(tag) else re.sub(r"\s+", "_", tag)


def escaped(line: str) -> str:
    """The line with a backslash before each bracket; the braces of wildcards and the brackets of weights stay."""
    return _outside(line, escape_brackets)


def unescaped(line: str) -> str:
    """The line without the backslashes before brackets, except where that would make a wildcard of them."""
    text = unescape_brackets(line)
    return text if len(spans(text)) == len(spans(line)) else line


def _outside(line: str, change: Callable[[str], str]) -> str:
    """Change what is outside of wildcards and weights."""
    kept = [*spans(line), *(found.span() for found in _WEIGHTED.finditer(line))]
    pieces, done = [], 0
    for start, stop in sorted(kept):
        if start >= done:
            pieces += [change(line[done:start]), line[start:stop]]
            done = stop
    return "".join([*pieces, change(line[done:])])


def cut(line: str, limit: int, count: Callable[[str], int]) -> str:
    """The longest beginning of a line that has at most so many tokens.

    It ends behind a whole tag where the line is a list of tags, else behind a word, and never inside a wildcard.
    count: tokens of a text; not fewer for a longer one.
    """
    if count(as_trained(line)) <= limit:
        return line
    tags = tags_of(line)
    is_tags = len(tags) > 1 and sum(len(tag.split()) for tag in tags) <= _LONG_TAG * len(tags)
    kept = spans(line)
    ends = [
        found.start()
        for found in re.finditer(r",(?=\s)|\s*\|\|\|" if is_tags else r"\s+", line)
        if not any(start <= found.start() < stop for start, stop in kept)
    ]
    low, high = 0, len(ends)  # so many pieces fit, more than `high` do not
    while low < high:
        middle = (low + high + 1) // 2
        if count(as_trained(line[: ends[middle - 1]])) <= limit:
            low = middle
        else:
            high = middle - 1
    text = line[: ends[low - 1]] if low else ""
    return re.sub(r"[\s,;]*(\|\|\|[\s,;]*)*\Z", "", text)
