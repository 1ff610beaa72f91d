"""Patterns for keys, as `--include` and `--exclude` take them."""

from __future__ import annotations

import os
import re
import unicodedata
from collections.abc import Iterable

from ...errors import RequestError

_WILD = re.compile(r"[*?\[]")
_SET = re.compile(r"\[([!^]?)(\]?[^\]/]*)\]")


class Patterns:
    """Some patterns; a key matches if one of them does.

    `*` is any text without `/`, `?` one such character, `[ab]` one of these and `[!ab]` one of the others; `**/` is any
    number of folders, none as well. A pattern without `/` is looked for in every folder, one with `/` from the source's
    own folder on. A name without wildcards that is a folder's stands for all that is in it, and so does any pattern
    that ends in `/` or `/**`. Case does not count, nor how accents are written, on any system. For a `[` in a name
    write `[[]`; on Windows `\\` is `/`.
    """

    def __init__(self, patterns: Iterable[str]) -> None:
        """Raises RequestError: a pattern is empty."""
        self._patterns = [(pattern, _compiled(pattern)) for pattern in patterns]
        self._idle = dict(self._patterns)

    def match(self, key: str) -> bool:
        """Whether any of them matches a key; none does where there is none."""
        if not self._patterns:
            return False
        folded = _folded(key)
        found = False
        if self._idle:
            for pattern, expression in list(self._idle.items()):
                if expression.fullmatch(folded):
                    found = True
                    del self._idle[pattern]
        return found or any(expression.fullmatch(folded) for _, expression in self._patterns)

    def idle(self) -> list[str]:
        """Those that have matched no key so far."""
        return list(self._idle)


def _folded(text: str) -> str:
    return text.lower() if text.isascii() else unicodedata.normalize("NFC", text).casefold()


def _compiled(pattern: str) -> re.Pattern[str]:
    text = pattern.replace(os.sep, "/") if os.sep != "/" else pattern
    text = text.removeprefix("./")
    is_anchored = "/" in text.rstrip("/")
    parts = [part for part in text.split("/") if part not in ("", ".")]
    if not parts:
        raise RequestError(f"{pattern!r} is no pattern for names; write one such as '*.png' or 'masks/**'")
    names_folder = text.endswith("/")
    if names_folder:
        parts.append("**")
    expression = "" if is_anchored or parts[0] == "**" else "(?:.*/)?"
    for part in parts[:-1]:
        expression += "(?:.*/)?" if part == "**" else _expression(part) + "/"
    last = parts[-1]
    expression += ".+" if last == "**" else _expression(last)
    if not _WILD.search(last):
        expression += "(?:/.*)?"
    return re.compile(expression, re.DOTALL)


def _expression(part: str) -> str:
    """What a part of a pattern between two `/` means."""
    part = _folded(part)
    expression = ""
    start = 0
    while start < len(part):
        found = _SET.match(part, start) if part[start] == "[" else None
        if found and found[2]:
            inside = re.sub(r"([\\\[\]&~|^])", r"\\\1", found[2])
            expression += f"[^/{inside}]" if found[1] else f"[{inside}]"
            start = found.end()
            continue
        letter = part[start]
        expression += {"*": "[^/]*", "?": "[^/]"}.get(letter, re.escape(letter))
        start += 1
    return expression.replace("[^/]*[^/]*", "[^/]*")
