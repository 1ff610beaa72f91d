"""Strings only: joining phrases to a prompt, fitting it to a token budget, escaping brackets."""

from __future__ import annotations

import re
from collections.abc import Callable, Sequence

SEPARATOR = ", "

# A bracket that no backslash stands before; ComfyUI and A1111 read it as a weight or a wildcard.
_BRACKET = re.compile(r"(?<!\\)[()\[\]{}]")


def join(*parts: str) -> str:
    """The parts that are not empty, with commas between."""
    return SEPARATOR.join(part for part in parts if part)


def escape_brackets(text: str) -> str:
    r"""Put a backslash before each bracket that has none: `a (small) cat` -> `a \(small\) cat`."""
    return _BRACKET.sub(lambda match: "\\" + match[0], text)


def cut_at_word(text: str, fits: Callable[[str], bool]) -> str:
    """The longest beginning of `text` that fits and ends between two words, without a comma at its end.

    Returns "" where not even the first word fits. `fits` must hold for every beginning of a text that fits.
    """
    if fits(text):
        return text
    ends = [match.start() for match in re.finditer(r"\s+", text)]
    low, high = 0, len(ends)  # beginnings of `low` words fit, of `high` + 1 words do not
    while low < high:
        middle = (low + high + 1) // 2
        if fits(text[: ends[middle - 1]]):
            low = middle
        else:
            high = middle - 1
    return text[: ends[low - 1]].rstrip(" ,;") if low else ""


def count_that_fit(head: str, phrases: Sequence[str], fits: Callable[[str], bool]) -> int:
    """How many of `phrases`, taken in order, can follow `head` before the text no longer fits."""
    text = head
    for count, phrase in enumerate(phrases):
        text = join(text, phrase)
        if not fits(text):
            return count
    return len(phrases)
