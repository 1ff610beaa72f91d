"""Strings only: joining phrases into a prompt, fitting it to a token budget, escaping brackets."""

from __future__ import annotations

import re
from collections.abc import Callable, Sequence

SEPARATOR = ", "

# A bracket without a backslash in front of it; ComfyUI and A1111 read it as a weight or a wildcard.
_BRACKET = re.compile(r"(?<!\\)[()\[\]{}]")
_ESCAPED_BRACKET = re.compile(r"\\([()\[\]{}])")


def join(*parts: str) -> str:
    """The non-empty parts, separated by commas."""
    return SEPARATOR.join(part for part in parts if part)


def without_stop(sentence: str) -> str:
    """A sentence as phrases may follow it after a comma: without the full stop at its end."""
    return sentence.rstrip().rstrip(".。")


def escape_brackets(text: str) -> str:
    r"""Put a backslash in front of each unescaped bracket: `a (small) cat` -> `a \(small\) cat`."""
    return _BRACKET.sub(lambda match: "\\" + match[0], text)


def unescape_brackets(text: str) -> str:
    """The text without the backslashes of `escape_brackets`."""
    return _ESCAPED_BRACKET.sub(r"\1", text)


def cut_at_word(text: str, fits: Callable[[str], bool]) -> str:
    """The longest prefix of `text` that fits and ends between two words, without a trailing comma.

    Returns "" if not even the first word fits. `fits` must hold for every prefix of a text that fits.
    """
    if fits(text):
        return text
    ends = [match.start() for match in re.finditer(r"\s+", text)]
    low, high = 0, len(ends)  # prefixes of `low` words fit, of `high` + 1 words do not
    while low < high:
        middle = (low + high + 1) // 2
        if fits(text[: ends[middle - 1]]):
            low = middle
        else:
            high = middle - 1
    return text[: ends[low - 1]].rstrip(" ,;") if low else ""


def count_that_fit(head: str, phrases: Sequence[str], fits: Callable[[str], bool]) -> int:
    """How many of `phrases`, in order, can follow `head` before the text no longer fits."""
    text = head
    for count, phrase in enumerate(phrases):
        text = join(text, phrase)
        if not fits(text):
            return count
    return len(phrases)
