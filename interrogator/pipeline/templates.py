"""Prompts from custom templates: `{caption}, {mediums} {artists}, {flavors}`."""

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

# `{{`, `}}`, a name in braces, or an unmatched brace.
_BRACES = re.compile(r"\{\{|\}\}|\{(?P<name>[^{}]*)\}|[{}]")
# Commas with the whitespace around them; at the beginning of the text the comma is optional.
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
        template: text with field names in braces: `caption`; `tags`; `prompt` for the whole prompt of a mode; `phrases`
            for all phrases; a role (artists, mediums, movements, sites, flavors, negative) for the phrases of its
            banks; a bank for its own phrases. A phrase goes into the narrowest field that the template has for it, so
            `{lighting}, {flavors}` repeats no phrase. An empty field leaves no comma and no space behind. `{{` and
            `}}` are literal braces.
        caption: may be "".
        phrases: fill each field in this order, separated by commas.
        banks: names of banks, besides the built-in ones, that are fields even if none of their phrases was taken.
        tags: fill `{tags}` in this order, separated by commas.
        prompt: the value of `{prompt}`.

    Raises:
        RequestError: an unknown field, an unmatched brace, or an empty result.
    """
    content = _Content(template, {"caption": caption, "prompt": prompt, "tags": _listed(tags)}, phrases, [*banks])
    filled = _tidied(_BRACES.sub(content.filled, template))
    if not filled.strip():
        raise RequestError(f"the template {template!r} gives an empty prompt: none of its fields has a value")
    return filled


def field_names(template: str) -> frozenset[str]:
    """The field names in a template."""
    return frozenset(match["name"].strip() for match in _BRACES.finditer(template) if match["name"] is not None)


class _Content:
    """The values of the fields of one template."""

    def __init__(
        self, template: str, texts: Mapping[str, str], phrases: Sequence[RankedPhrase], banks: Sequence[str]
    ) -> None:
        self._template = template
        self._names = field_names(template)
        self._texts = texts
        self._phrases = phrases
        self._banks = [*bank_names(), *banks, *(phrase.bank for phrase in phrases)]

    def filled(self, match: re.Match[str]) -> str:
        """The replacement for a match of `_BRACES`."""
        name = match["name"]
        if name is not None:
            return self._field(name.strip())
        if match[0] in ("{{", "}}"):
            return match[0][0]
        raise RequestError(
            f"unmatched {match[0]} at character {match.start() + 1} of the template {self._template!r}; "
            "write {{ or }} for a literal brace"
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
        """The narrowest of the template's fields that fits a phrase."""
        fields = (phrase.bank, role_of(phrase.bank), PHRASES)
        return next((name for name in fields if name in self._names), None)


def _listed(words: Iterable[RankedPhrase | Tag]) -> str:
    return SEPARATOR.join(word.text for word in words)


def _tidied(text: str) -> str:
    """The text without stray commas and extra spaces; line breaks stay."""
    text = _COMMAS.sub(_one_comma, text)
    text = _SPACES.sub(" ", text)
    return _STRAY_SPACES.sub("", text).strip(" ")


def _one_comma(match: re.Match[str]) -> str:
    """One comma in place of several, none at the beginning or end; the whitespace between them stays."""
    separates = match[0].startswith(",") and match.start() > 0 and match.end() < len(match.string)
    return ("," if separates else "") + match[0].replace(",", "")
