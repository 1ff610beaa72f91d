"""The texts that generators put into files: chunks of PNG, and EXIF in JPEG and WebP."""

from __future__ import annotations

import io
import logging
import os
import re
from collections.abc import Iterator
from os import PathLike
from typing import Any

from PIL import ExifTags, Image

from ..errors import ImageReadError
from ..images import DAMAGED, check_is_file, open_quietly

logger = logging.getLogger("interrogator")

PROMPT, WORKFLOW, PARAMETERS = "prompt", "workflow", "parameters"
NAMES = (PROMPT, WORKFLOW, PARAMETERS)

# Longer texts are not looked at; graphs of hundreds of nodes are a tenth of it.
_MOST_CHARACTERS = 4_000_000
_ASCII_TAGS = (ExifTags.Base.Model, ExifTags.Base.Make, ExifTags.Base.ImageDescription)
_LABEL = re.compile(r"\s*(prompt|workflow|parameters)\s*:\s*", re.IGNORECASE)
_SETTINGS = re.compile(r"^(?:Negative prompt:|Steps: \d)", re.MULTILINE)
# The first 8 bytes of a user comment name its encoding (Exif 2.3, 4.6.5).
_ENCODING_BYTES = 8


def fields(source: str | PathLike[str] | bytes) -> dict[str, str]:
    """By name what a picture's metadata hold of `NAMES`; {} where there is nothing, or no picture that can be read.

    In PNG each is a chunk of that name. ComfyUI's own nodes write `prompt:…` and `workflow:…` into the EXIF tags Model
    and Make, others into Make and ImageDescription, or both as one JSON object into UserComment, which A1111 has for
    its parameters. Raises nothing.
    """
    try:
        if isinstance(source, bytes):
            return _found(io.BytesIO(source))
        name = os.fsdecode(source)
        check_is_file(name)
        with open(name, "rb") as file:
            return _found(file)
    except (ImageReadError, MemoryError):
        return {}
    except DAMAGED as error:
        logger.debug("%s: its metadata cannot be read (%s)", "image" if isinstance(source, bytes) else source, error)
        return {}


def _found(file: Any) -> dict[str, str]:
    with open_quietly(file) as image:
        texts = dict(_chunks(image))
        if not texts and image.format == "PNG":
            image.load()  # chunks may follow the pixels, and Pillow reads no EXIF before
            texts = dict(_chunks(image))
        if not texts or image.format != "PNG":
            for name, text in _exif(image):
                texts.setdefault(name, text)
        return {name: text for name, text in texts.items() if len(text) <= _MOST_CHARACTERS}


def _chunks(image: Image.Image) -> Iterator[tuple[str, str]]:
    for name in NAMES:
        text = image.info.get(name)
        if isinstance(text, str) and text.strip():
            yield name, _repaired(text)
    comment = image.info.get("comment")  # of GIF and JPEG
    if isinstance(comment, bytes):
        yield from _named(comment.decode("utf-8", "replace"))


def _exif(image: Image.Image) -> Iterator[tuple[str, str]]:
    exif = image.getexif()
    for tag in _ASCII_TAGS:
        text = exif.get(tag)
        if isinstance(text, str):
            yield from _named(_repaired(text))
    comment = exif.get_ifd(ExifTags.IFD.Exif).get(ExifTags.Base.UserComment)
    if isinstance(comment, bytes):
        yield from _named(_comment(comment))
    elif isinstance(comment, str):
        yield from _named(_repaired(comment))


def _named(text: str) -> Iterator[tuple[str, str]]:
    """A text that no chunk names: by its label, else by what it looks like. Words of a camera or a person are none."""
    text = text.strip("\x00 \r\n\t")
    label = _LABEL.match(text)
    if label:
        yield label[1].lower(), text[label.end() :]
    elif text.startswith("{"):
        yield PROMPT, text
    elif _SETTINGS.search(text):
        yield PARAMETERS, text


def _comment(data: bytes) -> str:
    """The text of a user comment. UTF-16 has no mark in EXIF: the order that gives more ASCII is the right one."""
    encoding, text = data[:_ENCODING_BYTES], data[_ENCODING_BYTES:]
    if encoding == b"UNICODE\x00":
        orders = [text.decode(order, "replace") for order in ("utf-16-be", "utf-16-le")]
        return max(orders, key=lambda each: sum(character.isascii() for character in each[:4096])).lstrip("\ufeff")
    known = encoding in (b"ASCII\x00\x00\x00", bytes(_ENCODING_BYTES))
    return (text if known else data).decode("utf-8", "replace")


def _repaired(text: str) -> str:
    """UTF-8 that was read as Latin-1, as it was meant."""
    if text.isascii():
        return text
    try:
        return text.encode("latin-1").decode("utf-8")
    except UnicodeError:
        return text
