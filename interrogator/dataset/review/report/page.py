"""The page: one HTML file with style, script and data in it, which asks the network for nothing."""

from __future__ import annotations

import base64
import hashlib
import json
from collections.abc import Iterable, Iterator, Mapping
from importlib.resources import files
from string import Template
from typing import Any


def page(run: Mapping[str, Any], rows: Iterable[bytes]) -> Iterator[bytes]:
    """The page in pieces.

    Args:
        run: the summary, with `title` and `folder` (of the thumbnails).
        rows: a record each, as `data` makes them.
    """
    style, script = _part("page.css"), _part("page.js")
    style_hash, script_hash = hashes()
    values = {
        "style": style, "script": script, "style_hash": style_hash, "script_hash": script_hash,
        "run": data(run).decode(),
    }  # fmt: skip
    before, after = _part("page.html").split("$records")
    yield Template(before).substitute(values).encode()
    yield b"["
    for number, row in enumerate(rows):
        yield b",\n" + row if number else row
    yield b"]"
    yield Template(after).substitute(values).encode()


def hashes() -> tuple[str, str]:
    """What a security policy knows the page's own style and script by: SHA-256 in base 64."""
    return _hash(_part("page.css")), _hash(_part("page.js"))


def data(value: Mapping[str, Any]) -> bytes:
    """A value as JSON that may stand inside a script element, for it holds no `<`."""
    text = json.dumps(value, ensure_ascii=False, separators=(",", ":"), default=str)
    # Half a surrogate pair, as file names may hold it, comes out as the escape that JSON has for it.
    return text.replace("<", "\\u003c").encode("utf-8", "backslashreplace")


def _part(name: str) -> str:
    return files(__package__).joinpath(name).read_text(encoding="utf-8")


def _hash(text: str) -> str:
    """What the page's security policy knows its own script and style by."""
    return base64.b64encode(hashlib.sha256(text.encode()).digest()).decode()
