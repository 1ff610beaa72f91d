"""The tags of a line: what stands between commas, in sections that `|||` parts, with wildcards `{a|b}` as one piece.

kohya's sd-scripts keep the tags in front of `|||` where they are and shuffle those behind it; in `{a, b|c}` they pick
one of the alternatives, so a comma in there parts nothing. Neither does one in a weight such as `(a, b:1.2)`.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Sequence
from functools import lru_cache

from ...prompts import join, unescape_brackets
from .words import holds

_SECTION = re.compile(r"(\s*\|\|\|\s*)")
_WEIGHT = re.compile(r"(?<!\\)\((?:[^()\\]|\\.)*:\s*\d*\.?\d+\s*\)")
_COMMA = re.compile(r"(?<!\d),|,(?!\d)")  # but not that of 1,000
_LONG_TAG = 4  # words; what is longer on average is a sentence
_SENTENCES = re.compile(r"[.!?](\s|\Z)")

Change = Callable[[list[str]], list[str]]
"""From the tags of a section to those that it is to have."""


def spans(text: str) -> list[tuple[int, int]]:
    """Where the wildcards of a text are: braces with `|` between them, the outermost ones; escaped braces are none."""
    found: list[tuple[int, int]] = []
    opened: list[int] = []
    if "{" not in text:
        return found
    for index, letter in enumerate(text):
        if letter not in "{}" or text[index - 1 : index] == "\\":
            continue
        if letter == "{":
            opened.append(index)
        elif opened:
            start = opened.pop()
            if not opened and "|" in text[start:index]:
                found.append((start, index + 1))
    return found


def tags_of(section: str) -> list[str]:
    """The tags of a section, without white space around them; none is empty."""
    whole = [*spans(section), *(found.span() for found in _WEIGHT.finditer(section) if "," in found[0])]
    cuts = [found.start() for found in _COMMA.finditer(section)]
    if whole:
        cuts = [cut for cut in cuts if not any(start <= cut < stop for start, stop in whole)]
    pieces = [section[start + 1 : stop] for start, stop in zip([-1, *cuts], [*cuts, len(section)], strict=True)]
    return [tag for piece in pieces if (tag := piece.strip())]


def sections_of(line: str) -> list[list[str]]:
    """The tags of each section."""
    return [tags_of(section) for section in _SECTION.split(line)[::2]]


def changed(line: str, change: Change, separator: str = ", ") -> str:
    """The line with the tags of each section changed; to the letter as it was where they are the same."""
    pieces = _SECTION.split(line)
    sections = list(map(tags_of, pieces[::2]))
    return put_together(line, sections, [change(list(tags)) for tags in sections], separator)


def put_together(line: str, before: Sequence[list[str]], after: Sequence[list[str]], separator: str = ", ") -> str:
    """The line whose sections had these tags and now have others; a section that stays is not touched."""
    pieces = _SECTION.split(line)
    for index, (old, new) in enumerate(zip(before, after, strict=True)):
        if old != new:
            pieces[2 * index] = separator.join(new)
    text = "".join(pieces)
    return text if len(pieces) == 1 or text == line else text.strip()


@lru_cache(maxsize=65536)
def tag_key(tag: str) -> str:
    """What is the same of two spellings of one tag: case, `_` for spaces, backslashes before brackets do not count."""
    return " ".join(unescape_brackets(tag).casefold().replace("_", " ").split()) or tag


def as_trained(line: str) -> str:
    """The longest text that a trainer makes of a line: without `|||`, of each wildcard its longest alternative."""
    text = line.replace("|||", " ")
    while found := re.search(r"\{([^{}]*\|[^{}]*)\}", text):
        text = text[: found.start()] + max(found[1].split("|"), key=len) + text[found.end() :]
    return text


def is_tag_list(line: str) -> bool:
    """Whether a line reads as tags and not as a sentence: short pieces between commas."""
    tags = [tag for section in sections_of(line) for tag in section]
    longest = _LONG_TAG * len(tags) if len(tags) > 1 else 2
    return 0 < sum(len(tag.split()) for tag in tags) <= longest and not _SENTENCES.search(line)


def missing_tags(line: str, more: str) -> list[str]:
    """The tags of another line that a line lacks, each once."""
    there = {tag_key(tag) for tags in sections_of(line) for tag in tags}
    found: dict[str, str] = {}
    for tag in (tag for tags in sections_of(more) for tag in tags):
        if tag_key(tag) not in there:
            found.setdefault(tag_key(tag), tag)
    return list(found.values())


def added(line: str, more: str, separator: str) -> str:
    """A line with those tags of another behind it that it lacks."""
    new = missing_tags(line, more)
    if not new:
        return line
    return separator.join([*([line.rstrip().rstrip(",").rstrip()] if line.strip(" ,") else []), *new])


def with_trigger(line: str, trigger: str, separator: str = ", ") -> str:
    """A line with a trigger in front, once; in the middle of a sentence it stays where it is."""
    key = tag_key(trigger)
    before = sections_of(line)
    tags = [tag_key(tag) for section in before for tag in section]
    if tags.count(key) == 1 and before[0] and tag_key(before[0][0]) == key:
        return line
    if key not in tags and holds(line, trigger):
        return line
    others = [[tag for tag in section if tag_key(tag) != key] for section in before]
    rest = put_together(line, before, others, separator)
    return join(trigger, rest) if separator == ", " else separator.join(each for each in (trigger, rest) if each)
