"""What a run does to every caption, checked before it begins."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass, fields
from functools import cached_property

from ...errors import RequestError
from .words import holds, tidy, whole

OWN_NAMES = ("trigger", "key", "stem", "folder", "width", "height", "existing")
"""Names of a template beside those of `interrogator.assemble`, which no model is asked for."""
COMPARED_NAMES = ("common", "distinctive")
"""Names of a template for what all pictures share, and for what one has of its own."""
EVIDENCE_NAMES = ("missing", *COMPARED_NAMES)
"""Names of a template for phrases by evidence."""

_BRACES = re.compile(r"\{\{|\}\}|\{([^{}]*)\}")


@dataclass(frozen=True)
class CaptionRules:
    """What is done to every caption, in the order of the attributes; checked when made.

    Attributes:
        strip: words and phrases taken out, whatever their case; commas and articles are mended.
        replace: pairs of a word or phrase, whatever its case, and its replacement; one pair after the other.
        replace_regex: the same with regular expressions (`re`), where `\\1` is a group.
        template: names in braces and what is around them: prompt (the text of the mode, which in mode caption is the
            caption), caption, tags, phrases, roles and banks (see `interrogator.assemble`), trigger, key, stem,
            folder (the last one of the key), width and height, existing (the text that was there, without a full stop
            at its end), and missing (phrases that are true of the picture and that existing, prompt, caption and tags
            lack, as far as the template names these), common (phrases that hold for nearly all pictures of the run) and
            distinctive (those that hold for this one and for less than half of all).
        trigger: a word for the thing that is trained. A template without `{trigger}` gets it in front, unless the
            caption has it.
        prefix: put in front of all, with a space between, as far as `words.glued` puts one; with a comma if it ends in
            one.
        suffix: put behind all in the same way: `.` follows the last word.
        token_limit: CLIP tokens; a longer text is cut at a word, but never the prefix or the trigger. 0 is no limit.
        forbidden: words and phrases that may not be in it.
        required: words and phrases that must be in it.
        banks: names of the phrase banks in use, for a template that names one of the user's own.
    """

    trigger: str = ""
    template: str = "{prompt}"
    prefix: str = ""
    suffix: str = ""
    strip: tuple[str, ...] = ()
    replace: tuple[tuple[str, str], ...] = ()
    replace_regex: tuple[tuple[str, str], ...] = ()
    forbidden: tuple[str, ...] = ()
    required: tuple[str, ...] = ()
    token_limit: int = 0
    banks: tuple[str, ...] = ()

    def __post_init__(self) -> None:
        """Raises RequestError: one sentence about what is wrong."""
        self._check_types()
        if self.trigger and not tidy(self.trigger):
            raise RequestError(f"the trigger {self.trigger!r} contains no word")
        if self.token_limit < 0:
            raise RequestError(f"token_limit must be at least 0, not {self.token_limit}")
        for word in self.forbidden:
            for name in ("trigger", "prefix", "suffix", "required"):
                value = getattr(self, name)
                if any(holds(text, word) for text in ([value] if isinstance(value, str) else value)):
                    raise RequestError(f"{word!r} is forbidden, but {name} contains it")
        for pattern, replacement in self.replace_regex:
            check_regex(pattern, replacement)
        self._check_template()

    def _check_types(self) -> None:
        for field in fields(self):
            value = getattr(self, field.name)
            if isinstance(field.default, str) and not isinstance(value, str):
                raise RequestError(f"{field.name} must be text, not {value!r}")
            if isinstance(field.default, tuple) and not isinstance(value, tuple):
                raise RequestError(f"{field.name} must be a tuple of texts, not {value!r}")
        if not all(_is_word(entry) for name in ("strip", "forbidden", "required") for entry in getattr(self, name)):
            raise RequestError("strip, forbidden and required take words or phrases, and none may be empty")
        for pair in (*self.replace, *self.replace_regex):
            if not _is_pair(pair):
                raise RequestError(f"a replacement must be a pair of texts, the first not empty, not {pair!r}")

    def _check_template(self) -> None:
        """Fill the template in once, with something in every field."""
        if self.template == CaptionRules.template:
            return
        if not tidy(self.template):
            raise RequestError("the template is empty; {prompt} leaves the text as it is")
        from ...pipeline.templates import assemble  # brings in torch, which a caption as it is can do without

        assemble(
            with_names(self.template, dict.fromkeys((*OWN_NAMES, *EVIDENCE_NAMES), "x")) + " x",
            "x",
            (),
            self.banks,
            prompt="x",
        )

    @cached_property
    def names(self) -> frozenset[str]:
        """The names in the template's braces."""
        return frozenset(name.strip() for name in _BRACES.findall(self.template) if name)

    @cached_property
    def _replacements(self) -> list[tuple[re.Pattern[str], str]]:
        plain = [(whole(old), new.replace("\\", r"\\")) for old, new in self.replace]
        return [*plain, *((re.compile(pattern), new) for pattern, new in self.replace_regex)]

    def clean(self, caption: str) -> str:
        """Apply strip, replace and replace_regex to a caption."""
        if self.strip:
            from ...captioners.strip import strip_words  # brings in torch

            caption = strip_words(caption, self.strip)
        for pattern, replacement in self._replacements:
            caption = pattern.sub(replacement, caption)
        return caption


def _is_word(entry: object) -> bool:
    return isinstance(entry, str) and bool(tidy(entry))


def _is_pair(entry: object) -> bool:
    if not isinstance(entry, tuple) or len(entry) != 2:
        return False
    return all(isinstance(part, str) for part in entry) and bool(entry[0].strip())


def check_regex(pattern: str, replacement: str) -> None:
    """Raises RequestError: no regular expression, or no replacement for what it finds."""
    try:
        re.compile(pattern)
        re.sub(pattern + "\n|", replacement, "")  # that finds the empty text, so the replacement is read
    except (re.error, IndexError) as error:
        raise RequestError(f"cannot replace {pattern!r} by {replacement!r}: {error}") from error


def with_names(template: str, values: Mapping[str, str]) -> str:
    """The template with these names filled in and the others left to `assemble`."""

    def filled(found: re.Match[str]) -> str:
        value = values.get((found[1] or "").strip())
        return found[0] if found[1] is None or value is None else value.replace("{", "{{").replace("}", "}}")

    return _BRACES.sub(filled, template)
