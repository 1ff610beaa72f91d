"""Settings as run.json holds them, and as they name a run.

The first release knew fewer settings and called some of them otherwise, and its `{caption}` was the text of the mode,
which is `{prompt}` now. Settings that it could express are stored under its names and give the digest that it gave, so
that its unfinished runs are found and continued.
"""

from __future__ import annotations

import hashlib
import json
import re
from collections.abc import Mapping
from typing import Any

_NAMES = {
    "captions_per_image": "several", "max_new_tokens": "max_tokens", "reranker": "second_encoder", "rules": "wording",
}  # fmt: skip
_RULE_NAMES = {"token_limit": "max_tokens"}
_FIRST_FIELDS = frozenset({
    "preset", "captioner", "encoder", "second_encoder", "matcher", "banks", "block", "quota", "artists", "mode",
    "quality", "samples", "several", "seed", "max_tokens", "repetition_penalty", "caption_prefix", "max_phrases",
    "phrases", "score", "dtype", "wording", "policy", "separator",
})  # fmt: skip
_FORMAT = 2
FIRST_LENGTH = 32
"""Tokens of a caption where nobody said how many, in the first release, which had BLIP only; BLIP's to this day."""
_FIELD = re.compile(r"\{\{|\}\}|\{(\s*)(prompt|caption)(\s*)\}")
_SWAPPED = {"prompt": "caption", "caption": "prompt"}


def to_stored(values: Mapping[str, Any]) -> dict[str, Any]:
    """Settings, as a dict of their fields, for run.json."""
    stored = _renamed(values, _NAMES)
    return {"format": _FORMAT, **stored, "wording": _renamed(stored["wording"], _RULE_NAMES)}


def from_stored(stored: Mapping[str, Any]) -> dict[str, Any]:
    """The fields of settings as run.json holds them, also of the first release.

    Raises KeyError, TypeError, AttributeError: these are no settings.
    """
    values = _renamed(stored, {old: new for new, old in _NAMES.items()})
    values["rules"] = _renamed(values["rules"], {old: new for new, old in _RULE_NAMES.items()})
    if is_first_release(stored):
        values["rules"]["template"] = _swapped(values["rules"]["template"])
    values.pop("format", None)
    return values


def is_first_release(stored: Mapping[str, Any]) -> bool:
    """Whether the first release stored these settings."""
    return "format" not in stored


def digest(values: Mapping[str, Any], defaults: Mapping[str, Any], asked: Mapping[str, Any]) -> str:
    """Twelve hex characters that stand for settings and for what else a run was asked for: the name of the run.

    Args:
        values: the fields of the settings.
        defaults: of the fields; one that the first release did not have counts only where it differs from its default.
        asked: sources, target and the like.
    """
    stored = _renamed(values, _NAMES)
    counted = {
        name: value for name, value in stored.items() if name in _FIRST_FIELDS or value != defaults.get(name)
    }  # fmt: skip
    rules = _renamed(stored["wording"], _RULE_NAMES)
    counted["wording"] = {**rules, "template": _first_template(rules["template"], values["mode"])}
    text = json.dumps([counted, asked], sort_keys=True, default=str)
    return hashlib.sha256(text.encode("utf-8", "backslashreplace")).hexdigest()[:12]


def swap_caption(template: str, mode: str) -> str | None:
    """The template with which the first release meant something else by the same words; None if there is none.

    There `{caption}` was the whole prompt of the mode.
    """
    names = {found[2] for found in _FIELD.finditer(template)}
    return _swapped(template) if mode != "caption" and "caption" in names and "prompt" not in names else None


def _first_template(template: str, mode: str) -> str:
    """What stands for a template in the digest: the first release's own template wherever that had the same meaning.

    In mode caption both names are the caption. In the others the caption itself takes the name that was free.
    """
    if mode == "caption":
        return _FIELD.sub(lambda found: _named(found, "caption"), template)
    return _swapped(template)


def _swapped(template: str) -> str:
    return _FIELD.sub(lambda found: _named(found, _SWAPPED.get(found[2] or "", "")), template)


def _named(found: re.Match[str], name: str) -> str:
    return found[0] if found[2] is None else f"{{{found[1]}{name}{found[3]}}}"


def _renamed(values: Mapping[str, Any], names: Mapping[str, str]) -> dict[str, Any]:
    return {names.get(name, name): value for name, value in values.items()}
