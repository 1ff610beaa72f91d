"""What a chat model's answer says about the image: without its thinking, its introduction, and an unfinished end.

Pure text; the words were collected from what chat models answer to "describe this image".
"""

from __future__ import annotations

import re
from collections.abc import Sequence

CUT = "cut"
"""Remark: the answer reached the length limit, and an unfinished last sentence was removed where another remains."""

LOOPED = "looped"
"""Remark: the model repeated itself, and the image was tried once more."""

_LEAST, _MOST, _TIMES = 4, 40, 3  # lengths of a repeated run of tokens, and how often it occurs in a row
LOOP_WINDOW = _MOST * _TIMES
"""How many of the last tokens decide whether a text loops."""

_THOUGHT = "</think>"
_THINKING = "<think>"

_REPLY = re.compile(
    r"(?:certainly|sure(?:\s+thing)?|of\s+course|absolutely|okay|ok|alright|great)\s*(?:[!.:]|,(?!\s+(?:but|and)\b))\s*",
    re.IGNORECASE,
)
# "Here is a detailed description of the image:", up to the colon, which has to be on the same line.
_ANNOUNCEMENT = re.compile(
    r"(?:here(?:\s+is|\s+are|['’]s)|(?:below|the\s+following)\s+is)\b[^\n:.!?]{0,80}"
    r"\b(?:description|caption|prompt|tags?|list|summary|answer|text|image|picture)\b[^\n:.!?]{0,80}:\s*",
    re.IGNORECASE,
)
_LABEL = re.compile(r"\*{0,2}(?:image\s+)?(?:caption|description|prompt|answer)\*{0,2}\s*:\*{0,2}\s*", re.IGNORECASE)
_IMAGE = r"(?:the|this)\s+(?:given\s+|provided\s+)?(?:image|picture)"
_VERB = r"(?:shows|depicts|features|displays|presents|portrays|captures|contains|illustrates|showcases)"
# Not before what belongs to the verb: "shows that …", "features, among others, …", "captures how …".
_SUBJECT = re.compile(
    rf"(?:in\s+{_IMAGE}\s*,\s*(?:we\s+(?:can\s+)?see\s+)?|{_IMAGE}\s+{_VERB}\s+(?!(?:that|how|what|why|where|us|you)\b)"
    rf"|{_IMAGE}\s+is\s+(?=an?\s)|{_IMAGE}\s+is\s+of\s+|this\s+is\s+an?\s+(?:image|picture)\s+of\s+)(?=\w|[\"'“‘*])",
    re.IGNORECASE,
)

# The end of a sentence: its mark with what closes after it, then a space or the end. Not after an initial or an
# abbreviation, and not between digits.
_END = re.compile(r"(?:[.!?…]+[\"'”’)\]*]*(?=\s|$)|[。！？]+[”’）」』]*)")
_ABBREVIATED = re.compile(
    r"(?:\b(?:mr|mrs|ms|dr|st|vs|etc|no|prof|jr|sr|approx|e\.g|i\.e)|(?<![\w'’])[A-Za-z])\.$", re.I
)


def clean(text: str, finished: bool) -> tuple[str, tuple[str, ...]]:
    """The description in an answer, and remarks (`CUT`).

    Args:
        text: what the model wrote; it may begin with its thinking, with or without `<think>`.
        finished: whether the model ended it by itself, and not the length limit.

    An answer that is nothing but thinking gives "". An answer that is nothing but an introduction stays as it is.
    """
    text = without_introduction(without_thinking(text))
    if finished:
        return text, ()
    whole = whole_sentences(text)
    return whole, (CUT,) if whole != text or (text and not _ends_well(text)) else ()


def without_thinking(text: str) -> str:
    """What follows the thinking; "" where that never ends. Some prompts contain `<think>`, so it may lack."""
    before, end, after = text.rpartition(_THOUGHT)
    if end:
        return after.strip()
    return "" if text.lstrip().startswith(_THINKING) else before.strip() or after.strip()


def without_introduction(text: str) -> str:
    """A text without "Certainly! Here is a description:" and "The image shows" at its start; still a sentence.

    `The image shows a cat on a mat.` -> `A cat on a mat.`  A text of which nothing would remain is returned unchanged.
    """
    rest = text = text.strip()
    reply = _REPLY.match(rest)
    if reply:
        rest = rest[reply.end() :]
    for pattern in (_ANNOUNCEMENT, _LABEL, _SUBJECT):
        found = pattern.match(rest)
        if found:
            rest = rest[found.end() :]
    if not re.search(r"\w", rest):
        return text
    if rest == text:
        return text
    return _capital(rest.strip()) if text[:1].isupper() or text[:1] in "*" else rest.strip()


def whole_sentences(text: str) -> str:
    """A text up to its last complete sentence; a list without sentences up to its last comma; else unchanged."""
    ends = [found.end() for found in _END.finditer(text) if not _ABBREVIATED.search(text[: found.end()])]
    if ends and re.search(r"\w", text[: ends[-1]]):
        return text[: ends[-1]].rstrip()
    if text.count(",") >= 2 and re.search(r"\w", text.rpartition(",")[0]):
        return text.rpartition(",")[0].rstrip(" ,;")
    return text


def loops(ids: Sequence[int]) -> bool:
    """Whether tokens end in the same run of 4 to 40 tokens three times in a row. Looks at the last `LOOP_WINDOW`."""
    return _period(ids) > 0


def without_loop(ids: Sequence[int]) -> list[int]:
    """Tokens that loop, up to the end of the first of the repeated runs; others unchanged."""
    length = _period(ids)
    if not length:
        return list(ids)
    end = len(ids) - (_TIMES - 1) * length
    while end >= 2 * length and ids[end - 2 * length : end - length] == ids[end - length : end]:
        end -= length
    return list(ids[:end])


def _period(ids: Sequence[int]) -> int:
    """The length of the shortest run that the tokens end with three times; 0 if there is none."""
    tail = list(ids[-LOOP_WINDOW:])
    for length in range(_LEAST, min(_MOST, len(tail) // _TIMES) + 1):
        if tail[-1] != tail[-1 - length]:
            continue
        run = tail[-length:]
        if all(tail[-length * (n + 1) : -length * n] == run for n in range(1, _TIMES)):
            return length
    return 0


def _ends_well(text: str) -> bool:
    return whole_sentences(text) == text and _END.search(text[-4:]) is not None


def _capital(text: str) -> str:
    """A text with its first letter in upper case, behind quotes or asterisks."""
    found = re.search(r"\w", text)
    if found is None:
        return text
    at = found.start()
    return text[:at] + text[at].upper() + text[at + 1 :]
