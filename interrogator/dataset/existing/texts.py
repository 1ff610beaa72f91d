"""A text that a dataset has of a picture already, and the captions in it."""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass

from ...dataset_choices import Lines
from ..targets import text_of
from ..targets.target import is_utf8
from ..text.lines import lines_of

FLAGS = ("not_utf8", "byte_order_mark", "several_lines")
"""What can be said against a text that stays; see `ExistingText.flags`."""

_BREAK = re.compile(r"(\r\n|\r|\n)")


@dataclass(frozen=True)
class ExistingText:
    """What a dataset says of a picture already.

    Attributes:
        raw: the text as exactly as it stands; bytes that are no UTF-8 are lone surrogates. Of a list of captions that
            has no other text, one per line.
        captions: those of a list, as JSON and parquet have them; () where there is only a text.
        in_target: whether it stands where the run's own captions go.
        is_file: whether it is the content of a file of its own, beside its picture or in a tar.
    """

    raw: str
    captions: tuple[str, ...] = ()
    in_target: bool = False
    is_file: bool = False

    @property
    def text(self) -> str:
        """The text without byte order mark and the white space around it."""
        return text_of(self.raw)

    def several(self, lines: Lines) -> tuple[str, ...]:
        """The captions that a policy acts on, one after the other; one, perhaps blank, at least.

        lines: what the lines of a text are; a list is one in any case.
        """
        if self.captions:
            return self.captions
        if lines == "as-one":
            return (self.text,)
        found = tuple(map(str.strip, lines_of(self.text))) or (self.text,)
        return found[:1] if lines == "first" else found

    def put_together(self, captions: Sequence[str], lines: Lines) -> str:
        """One text with these captions in place of `several`: lines stay where they are, further captions follow."""
        if self.captions:
            return "\n".join(captions) if self.text == "\n".join(self.captions).strip() else captions[0]
        if lines == "as-one":
            return captions[0]
        if not self.text:
            return "\n".join(captions)
        places = len(self.several(lines))
        own = [*captions[: places - 1], "\n".join(captions[places - 1 :])]
        pieces, left = _BREAK.split(self.text), iter(own)
        for index in range(0, len(pieces), 2):
            if pieces[index].strip():
                pieces[index] = next(left, pieces[index])
        return "".join(pieces)

    @property
    def flags(self) -> tuple[str, ...]:
        """What trainers stumble over where the text stays: some of `FLAGS`."""
        found = {
            "not_utf8": not is_utf8(self.raw),
            "byte_order_mark": self.raw.startswith("\ufeff"),
            "several_lines": self.is_file and not self.captions and len(lines_of(self.raw)) > 1,
        }
        return tuple(name for name in FLAGS if found[name])
