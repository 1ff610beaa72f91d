"""Prompts by a template of one's own: `{caption}, {mediums} {artists}, {flavors}`."""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping, Sequence
from difflib import get_close_matches

from ..banks import ROLES, bank_names, role_of
from ..errors import RequestError
from ..models import Tag
from ..prompts import SEPARATOR
from .interrogation import RankedPhrase

PHRASES = "phrases"

# `{{`, `}}`, a name in braces, or a brace that belongs to nothing.
_BRACES = re.compile(r"\{\{|\}\}|\{(?P<name>[^{}]*)\}|[{}]")
# Commas with whatever space lies around them; at the beginning of the text there need not be one.
_COMMAS = re.compile(r"(?:\A|,)[\s,]*")
_SPACES = re.compile(r"[^\S\r\n]+")
_STRAY_SPACES = re.compile(r" +(?=[,\r\n])|(?<=[\r\n]) +")


def assemble(
    template: str,
    caption: str,
    phrases: Sequence[RankedPhrase],
    banks: Iterable[str] = (),
    *,
    tags: Sequence[Tag] = (),
    prompt: str = "",
) -> str:
    """Fill a template with a caption, phrases and tags.

    Args:
        template: text with names in braces: `caption`; `tags`; `prompt` for the whole prompt of a mode; `phrases` for
            all phrases; a role (artists, mediums, movements, sites, flavors, negative) for those whose bank has it; a
            bank for those that stand in it. A phrase goes into the narrowest field that the template has for it: with
            `{lighting}, {flavors}` no phrase comes twice. A field without anything to hold leaves no comma and no space
            behind. `{{` and `}}` are braces.
        caption: may be "".
        phrases: go into each field in this order, with commas between.
        banks: names of banks that are fields even where no phrase of theirs was taken, beside the built-in ones.
        tags: go into `{tags}` in this order, with commas between.
        prompt: what `{prompt}` stands for.

    Raises:
        RequestError: a name that is none of these, a brace that belongs to nothing, or nothing to fill in.
    """
    content = _Content(template, {"caption": caption, "prompt": prompt, "tags": _listed(tags)}, phrases, [*banks])
    filled = _tidied(_BRACES.sub(content.filled, template))
    if not filled.strip():
        raise RequestError(f"nothing to fill in: the template {template!r} comes out empty")
    return filled


def field_names(template: str) -> frozenset[str]:
    """The names in a template's braces."""
    return frozenset(found["name"].strip() for found in _BRACES.finditer(template) if found["name"] is not None)


class _Content:
    """What the fields of one template hold."""

    def __init__(
        self, template: str, texts: Mapping[str, str], phrases: Sequence[RankedPhrase], banks: Sequence[str]
    ) -> None:
        self._template = template
        self._names = field_names(template)
        self._texts = texts
        self._phrases = phrases
        self._banks = [*bank_names(), *banks, *(phrase.bank for phrase in phrases)]

    def filled(self, found: re.Match[str]) -> str:
        """The text for a pair of braces."""
        name = found["name"]
        if name is not None:
            return self._field(name.strip())
        if found[0] in ("{{", "}}"):
            return found[0][0]
        raise RequestError(
            f"the template {self._template!r} is broken: the {found[0]} at character {found.start() + 1} belongs to "
            "nothing; write {{ or }} for a brace itself"
        )

    def _field(self, name: str) -> str:
        if name in self._texts:
            return self._texts[name]
        if name not in (PHRASES, *ROLES, *self._banks):
            known = list(dict.fromkeys([*self._texts, PHRASES, *ROLES, *self._banks]))
            near = get_close_matches(name, known, n=4, cutoff=0.5)
            choice = ", ".join(dict.fromkeys([*near, *known]))
            raise RequestError(f"unknown field {{{name}}} in a template; choose from {choice}")
        return _listed([phrase for phrase in self._phrases if self._home(phrase) == name])

    def _home(self, phrase: RankedPhrase) -> str | None:
        """The narrowest of the template's fields that a phrase belongs to."""
        fields = (phrase.bank, role_of(phrase.bank), PHRASES)
        return next((name for name in fields if name in self._names), None)


def _listed(words: Iterable[RankedPhrase | Tag]) -> str:
    return SEPARATOR.join(word.text for word in words)


def _tidied(text: str) -> str:
    """The text without commas that separate nothing and without spaces too many; lines stay lines."""
    text = _COMMAS.sub(_one_comma, text)
    text = _SPACES.sub(" ", text)
    return _STRAY_SPACES.sub("", text).strip(" ")


def _one_comma(found: re.Match[str]) -> str:
    """One comma for many, none at the beginning and the end; the space among them stays."""
    parts = found[0].startswith(",") and found.start() > 0 and found.end() < len(found.string)
    return ("," if parts else "") + found[0].replace(",", "")
