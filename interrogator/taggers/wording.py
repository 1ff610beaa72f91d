"""How a tag reads: spaces for underscores except in kaomoji, and patterns that name several tags."""

from __future__ import annotations

import re
from collections.abc import Iterable

KAOMOJI = frozenset("0_0 (o)_(o) +_+ +_- ._. <o>_<o> <|>_<|> =_= >_< 3_3 6_9 >_o @_@ ^_^ o_o u_u x_x |_| ||_||".split())
"""Tags of Danbooru that are faces; the underscore is their mouth (huggingface.co/spaces/SmilingWolf/wd-tagger)."""


def with_spaces(text: str) -> str:
    """A tag of a vocabulary with spaces for underscores; kaomoji stay as they are."""
    return text if text in KAOMOJI else text.replace("_", " ")


def folded(text: str) -> str:
    """A tag as two spellings of it are compared: without case, underscores as spaces."""
    return with_spaces(text.strip()).casefold()


class Patterns:
    """Tags by pattern: `*` is any text, also none; case does not count, and an underscore is a space."""

    def __init__(self, patterns: Iterable[str]) -> None:
        alternatives = [".*".join(map(re.escape, folded(pattern).split("*"))) for pattern in patterns]
        self._pattern = re.compile("|".join(f"(?:{each})" for each in alternatives), re.DOTALL)
        self._is_empty = not alternatives

    def match(self, text: str) -> bool:
        """Whether one of the patterns stands for the whole of a tag."""
        return not self._is_empty and self._pattern.fullmatch(folded(text)) is not None
