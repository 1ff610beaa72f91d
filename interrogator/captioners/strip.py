"""Removing words that a captioner made up, without leaving a broken sentence behind."""

from __future__ import annotations

import re
from collections.abc import Sequence
from os import PathLike
from pathlib import Path

from ..errors import RequestError
from ..files import read_bounded

_LARGEST_LIST = 20_000_000  # bytes

DEFAULT_STRIP: tuple[str, ...] = (
    "arafed", "araffed", "arrafed", "arraffed", "arafe", "araffe", "arrafe", "arraffe", "arafes", "araffes",
)  # fmt: skip
"""Non-words that BLIP-large tends to put before nouns: "there is an arafed cat on a bed"."""

_ARTICLE_AT_START = re.compile(r"(?:an?|the)\s", re.IGNORECASE)
# Behind "a photo of" a noun brings its own: "two cats", "his cat".
_DETERMINER_AT_START = re.compile(
    r"(?:an?|the|this|that|these|those|some|any|several|many|few|no|both|all|each|every|another|my|your|his|her|its|"
    r"our|their|one|two|three|four|five|six|seven|eight|nine|ten|\d+)\s",
    re.IGNORECASE,
)
_ARTICLE_AT_END = re.compile(r"(?:^|\s)(?:an?|the)$", re.IGNORECASE)


def load_strip_list(path: str | PathLike[str]) -> tuple[str, ...]:
    """Read a strip list: UTF-8 text, one word or phrase per line; empty lines and lines starting with `#` are ignored.

    Raises RequestError: the file cannot be read or is not UTF-8 text.
    """
    try:
        text = read_bounded(Path(path), _LARGEST_LIST).decode("utf-8-sig")
    except (OSError, ValueError) as error:  # ValueError: not UTF-8
        raise RequestError(f"the strip list {path} cannot be read: {error}") from error
    lines = [line.strip() for line in text.splitlines()]
    return tuple(dict.fromkeys(line for line in lines if line and not line.startswith("#")))


def strip_words(caption: str, words: Sequence[str]) -> str:
    """The caption without `words` (whole words or phrases, ignoring case), with spaces, commas and articles fixed.

    `an arafed cat` -> `a cat`, `there is a arafed owl` -> `there is an owl`, and without `photo of`, `a photo of two
    owls` -> `two owls`. Articles change only before a removed word. A caption that consists only of such words is
    returned unchanged, because an empty caption would be worse.
    """
    entries = sorted({" ".join(word.split()) for word in words} - {""}, key=lambda entry: (-len(entry), entry))
    if not entries:
        return caption
    spaced = (r"\s+".join(map(re.escape, entry.split())) for entry in entries)
    stripped = re.compile(rf"(?<![\w-])(?:{'|'.join(spaced)})(?![\w-])", re.IGNORECASE)
    found = list(stripped.finditer(caption))
    if not found:
        return caption
    text = caption[: found[0].start()]
    ends = [*(each.start() for each in found[1:]), len(caption)]
    for removed, end in zip(found, ends, strict=True):
        takes_noun = removed[0].lower().endswith(" of")
        text = _joined(text.rstrip(), caption[removed.end() : end].lstrip(), takes_noun)
    text = _ARTICLE_AT_END.sub("", text.rstrip(" ,;"))
    text = text.strip(" ,;")
    return text if re.search(r"\w", text) else caption


def _joined(before: str, after: str, takes_noun: bool) -> str:
    """Join two pieces of a sentence between which words were removed.

    takes_noun: whether those took a noun with what belongs to it, as "photo of" does.
    """
    if before.endswith((",", ";")) and (not after or after.startswith((",", ";", "."))):
        before = before[:-1]  # "a cat, [arafed], on a mat": keep one comma
    article = re.search(r"(?:^|(?<=\s))(an?|the|this|that|one)$", before, re.IGNORECASE)
    if article and (_DETERMINER_AT_START if takes_noun else _ARTICLE_AT_START).match(after):
        if article.group(1)[0].isupper():
            after = after[0].upper() + after[1:]
        before = before[: article.start(1)].rstrip()  # "a [low poly render of] a cat": the second is the cat's
    elif article and article.group(1).lower() in ("a", "an") and after[:1].isalpha():
        # By letter, not by sound: good enough for the nouns in captions.
        right = "an" if after[0].lower() in "aeiou" else "a"
        is_capital = article.group(1)[0].isupper()
        before = before[: article.start(1)] + (right.capitalize() if is_capital else right)
    glue = "" if not before or not after or after[0] in ",;.:!?" else " "
    return before + glue + after
