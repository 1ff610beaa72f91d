"""A ranking, or the tags of an image, drawn as bars."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

from PIL import Image, ImageDraw, ImageFont

from .result_box import MOST

if TYPE_CHECKING:
    from ..interrogator import RankedPhrase
    from .result_box import Bar

_WIDTH, _ROW, _MARGIN = 768, 34, 16
_PAPER, _INK, _BAR, _FAINT = (24, 24, 27), (244, 244, 245), (59, 130, 246), (161, 161, 170)


def bar_picture(phrases: Sequence[RankedPhrase | Bar], full: float | None = None) -> Image.Image:
    """The first `MOST` phrases in order, each over a bar as long as its similarity's share of `full`: mode RGB.

    A last line says how many more there are.

    full: what fills the width; None is the highest similarity.
    """
    drawn, more = phrases[:MOST], len(phrases[MOST:])
    rows = max(len(drawn) + bool(more), 1)
    picture = Image.new("RGB", (_WIDTH, 2 * _MARGIN + _ROW * rows), _PAPER)
    draw = ImageDraw.Draw(picture)
    font = ImageFont.load_default(16)
    small = ImageFont.load_default(13)
    longest = _WIDTH - 2 * _MARGIN
    highest = max((phrase.similarity for phrase in phrases), default=0.0) if full is None else full
    for index, phrase in enumerate(drawn):
        top = _MARGIN + index * _ROW
        share = max(phrase.similarity, 0.0) / highest if highest > 0 else 0.0
        numbers = f"{phrase.bank}   {phrase.similarity:.3f}"
        room = longest - draw.textlength(numbers, small) - 12
        draw.text((_MARGIN, top), _cut(draw, phrase.text, font, room), _INK, font)
        draw.text((_WIDTH - _MARGIN, top + 3), numbers, _FAINT, small, anchor="ra")
        draw.rectangle((_MARGIN, top + 24, _MARGIN + max(1, round(share * longest)), top + 28), _BAR)
    if more:
        draw.text((_MARGIN, _MARGIN + MOST * _ROW), f"and {more:,} more", _FAINT, font)
    return picture


def _cut(draw: ImageDraw.ImageDraw, text: str, font: ImageFont.FreeTypeFont | ImageFont.ImageFont, room: float) -> str:
    """The beginning of a text, as much as fits on its line."""
    if draw.textlength(text, font) <= room:
        return text
    while text and draw.textlength(f"{text}…", font) > room:
        text = text[:-1]
    return f"{text}…"
