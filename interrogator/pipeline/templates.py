"""Prompts by a template of one's own: `{caption}, {mediums} {artists}, {flavors}`."""

from __future__ import annotations

import re
from collections.abc import Iterable, Sequence
from difflib import get_close_matches

from ..banks import ROLES, bank_names, role_of
from ..errors import RequestError
from ..prompts import SEPARATOR
from .results import RankedPhrase

CAPTION = "caption"
PHRASES = "phrases"

# `{{`, `}}`, a name in braces, or a brace that belongs to nothing.
_BRACES = re.compile(r"\{\{|\}\}|\{(?P<name>[^{}]*)\}|[{}]")
# Commas with whatever space lies around them; at the beginning of the text there need not be one.
_COMMAS = re.compile(r"(?:\A|,)[\s,]*")
_SPACES = re.compile(r"[^\S\r\n]+")
_STRAY_SPACES = re.compile(r" +(?=[,\r\n])|(?<=[\r\n]) +")


def assemble(template: str, caption: str, phrases: Sequence[RankedPhrase], banks: Iterable[str] = ()) -> str:
    """Fill a template with a caption and phrases.

    Args:
        template: text with names in braces: `caption`; `phrases` for all phrases; a role (artists, mediums,
            movements, sites, flavors, negative) for those whose bank has it; a bank for those that stand in it. A
            field without anything to hold leaves no comma and no space behind. `{{` and `}}` are braces.
        caption: may be "".
        phrases: go into each field in this order, with commas between.
        banks: names of banks that are fields even where no phrase of theirs was taken, beside the built-in ones.

    Raises:
        RequestError: a name that is none of these, a brace that belongs to nothing, or nothing to fill in.
    """
    prompt = _tidied(_BRACES.sub(lambda found: _filled(found, template, caption, phrases, [*banks]), template))
    if not prompt.strip():
        raise RequestError(f"nothing to fill in: the template {template!r} comes out empty")
    return prompt


def _filled(
    found: re.Match[str], template: str, caption: str, phrases: Sequence[RankedPhrase], banks: Sequence[str]
) -> str:
    """What takes the place of a pair of braces in the template."""
    name = found["name"]
    if name is not None:
        return caption if name.strip() == CAPTION else SEPARATOR.join(_texts(name.strip(), phrases, banks))
    if found[0] in ("{{", "}}"):
        return found[0][0]
    raise RequestError(
        f"the template {template!r} is broken: the {found[0]} at character {found.start() + 1} belongs to nothing "
        "(a brace itself is written {{ or }})"
    )


def _texts(name: str, phrases: Sequence[RankedPhrase], banks: Sequence[str]) -> list[str]:
    """The phrases that a field of this name holds."""
    if name == PHRASES:
        return [phrase.text for phrase in phrases]
    if name in ROLES:
        return [phrase.text for phrase in phrases if role_of(phrase.bank) == name]
    fields = [*bank_names(), *banks, *(phrase.bank for phrase in phrases)]
    if name not in fields:
        known = list(dict.fromkeys([CAPTION, PHRASES, *ROLES, *fields]))
        near = get_close_matches(name, known, n=4, cutoff=0.5)
        raise RequestError(f"a template has no field {{{name}}}; there is {', '.join(dict.fromkeys([*near, *known]))}")
    return [phrase.text for phrase in phrases if phrase.bank == name]


def _tidied(text: str) -> str:
    """The text without commas that separate nothing and without spaces too many; lines stay lines."""
    text = _COMMAS.sub(_one_comma, text)
    text = _SPACES.sub(" ", text)
    return _STRAY_SPACES.sub("", text).strip(" ")


def _one_comma(found: re.Match[str]) -> str:
    """One comma for many, none at the beginning and the end; the space among them stays."""
    parts = found[0].startswith(",") and found.start() > 0 and found.end() < len(found.string)
    return ("," if parts else "") + found[0].replace(",", "")
