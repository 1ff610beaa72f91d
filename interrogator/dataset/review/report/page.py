"""The page: one HTML file with style, script and data in it, which asks the network for nothing."""

from __future__ import annotations

import base64
import hashlib
import json
import mmap
import os
from collections.abc import Iterable, Iterator, Mapping
from importlib.resources import files
from pathlib import Path
from string import Template
from typing import Any


def page(run: Mapping[str, Any], rows: Iterable[bytes]) -> Iterator[bytes]:
    """The page in pieces.

    Args:
        run: the summary, with `title` and `folder` (of the thumbnails).
        rows: a record each, as `data` makes them.
    """
    head, between, tail = _frame()
    yield head + data(run) + between
    yield b"["
    for number, row in enumerate(rows):
        yield b",\n" + row if number else row
    yield b"]"
    yield tail


def is_page(path: Path) -> bool:
    """Whether a file is a page of this version: its own markup and script, byte for byte, and data that is no markup.

    Raises OSError: it cannot be read.
    """
    head, between, tail = _frame()
    with path.open("rb") as file:
        if os.fstat(file.fileno()).st_size < len(head) + len(between) + len(tail):
            return False
        with mmap.mmap(file.fileno(), 0, access=mmap.ACCESS_READ) as whole:
            if whole[: len(head)] != head:
                return False
            end = whole.find(b"<", len(head))  # no data holds it, see `data`
            records = end + len(between)
            if end < 0 or whole[end:records] != between:
                return False
            end = whole.find(b"<", records)
            return end >= 0 and whole[end:] == tail


def data(value: Mapping[str, Any]) -> bytes:
    """A value as JSON that may stand inside a script element, for it holds no `<`."""
    text = json.dumps(value, ensure_ascii=False, separators=(",", ":"), default=str)
    # Half a surrogate pair, as file names may hold it, comes out as the escape that JSON has for it.
    return text.replace("<", "\\u003c").encode("utf-8", "backslashreplace")


def _frame() -> tuple[bytes, bytes, bytes]:
    """The page without its data: what comes before those of the run, between them and the records, and after."""
    style, script = _part("page.css"), _part("page.js")
    values = {"style": style, "script": script, "style_hash": _hash(style), "script_hash": _hash(script)}
    head, rest = _part("page.html").split("$run")
    between, tail = rest.split("$records")
    head, between, tail = (Template(piece).substitute(values) for piece in (head, between, tail))
    return head.encode(), between.encode(), tail.encode()


def _part(name: str) -> str:
    return files(__package__).joinpath(name).read_text(encoding="utf-8")


def _hash(text: str) -> str:
    """What the page's security policy knows its own script and style by."""
    return base64.b64encode(hashlib.sha256(text.encode()).digest()).decode()
