"""Which of a tagger's tags hold for an image, and in which order."""

from __future__ import annotations

import math
from collections.abc import Iterable, Sequence
from dataclasses import replace

from ..errors import RequestError
from ..models import Tag
from ..prompts import escape_brackets, join
from .rules import DEFAULT_RULES, LABELS, SINGLE, TagRules
from .thresholds import CHARACTER_THRESHOLD, LEAST_OF_NAMES, THRESHOLD, mcut
from .wording import Patterns, folded, with_spaces

_IMPLIED = "copyright"
_FIRST = ("character", _IMPLIED)


def select_tags(tags: Iterable[Tag], rules: TagRules = DEFAULT_RULES) -> list[Tag]:
    """The tags that hold for an image, as they are shown.

    Characters come first, unless the rules say otherwise, then copyrights, then all others; each the most probable
    first, and of equal ones that which is earlier in the vocabulary. The tags that a character implies are taken once.
    A rating or quality stands last.

    Args:
        tags: the whole vocabulary, as `Tagger.tag` gives it.

    Raises:
        RequestError: the rules name a category that the vocabulary does not have.
    """
    vocabulary = list(tags)
    known = dict.fromkeys(tag.category for tag in vocabulary)
    _check_categories(vocabulary, known, rules)
    taken = [category for category in known if rules.takes(category)]
    labels = [_likeliest(category, vocabulary) for category in SINGLE if category in taken]
    is_blocked = Patterns(rules.block).match
    held = [tag for tag in _held(vocabulary, taken, rules) if not is_blocked(tag.text)]
    held += [tag for tag in _implied(held, rules) if not is_blocked(tag.text)]
    held = _unique(sorted(held, key=lambda tag: -tag.probability))[: rules.max_tags]
    if rules.character_first:
        held.sort(key=lambda tag: _FIRST.index(tag.category) if tag.category in _FIRST else len(_FIRST))
    held += [tag for tag in labels if not is_blocked(tag.text)]
    return [replace(tag, text=_shown(tag.text, rules)) for tag in held]


def label_tags(tags: Iterable[Tag], rules: TagRules = DEFAULT_RULES) -> list[Tag]:
    """The tags of `LABELS` that hold, where the rules leave those categories out: for records, not for prompts."""
    vocabulary = [tag for tag in tags if tag.category in LABELS and not rules.takes(tag.category)]
    names = tuple(dict.fromkeys(tag.category for tag in vocabulary))
    thresholds = {name: value for name, value in rules.category_thresholds.items() if name in names}
    if not names:
        return []
    return select_tags(vocabulary, replace(rules, categories=names, category_thresholds=thresholds, max_tags=None))


def join_tags(tags: Iterable[Tag]) -> str:
    """The tags as a prompt or a caption has them: one after the other, separated by commas."""
    return join(*(tag.text for tag in tags))


def _check_categories(vocabulary: Sequence[Tag], known: Iterable[str], rules: TagRules) -> None:
    """Raises RequestError: the rules name a category that no tag is of."""
    names = [name for name in (*rules.categories, *rules.category_thresholds) if name not in known]
    if _IMPLIED in names and any(tag.implies for tag in vocabulary):
        names = [name for name in names if name != _IMPLIED]
    if names and vocabulary:
        raise RequestError(f"this tagger has no category {names[0]!r}; its categories are {', '.join(known)}")


def _likeliest(category: str, vocabulary: Sequence[Tag]) -> Tag:
    return max((tag for tag in vocabulary if tag.category == category), key=lambda tag: tag.probability)


def _held(vocabulary: Sequence[Tag], taken: Iterable[str], rules: TagRules) -> list[Tag]:
    """The tags that are more probable than their thresholds, in the order of the vocabulary."""
    common = {category: _common_threshold(category, vocabulary, rules) for category in taken if category not in SINGLE}
    held: list[Tag] = []
    for tag in vocabulary:  # up to a hundred thousand
        limit = common.get(tag.category, math.inf)
        if limit is None:
            limit = tag.threshold
        if limit is None:
            limit = CHARACTER_THRESHOLD if tag.category == "character" else THRESHOLD
        if tag.probability > limit:
            held.append(tag)
    return held


def _common_threshold(category: str, vocabulary: Sequence[Tag], rules: TagRules) -> float | None:
    """The threshold that the rules set, or MCut finds, for a category; None leaves it to each tag."""
    given = rules.given_threshold(category)
    if given is not None or not rules.mcut:
        return given
    found = mcut(tag.probability for tag in vocabulary if tag.category == category)
    # A picture may show none of the names that there are, but always something.
    return found if found is None or category == "general" else max(LEAST_OF_NAMES, found)


def _implied(held: Sequence[Tag], rules: TagRules) -> list[Tag]:
    """What the tags that hold imply, as probable as the tag itself."""
    if not rules.takes(_IMPLIED):
        return []
    return [Tag(text, tag.probability, _IMPLIED) for tag in held for text in tag.implies]


def _unique(tags: Sequence[Tag]) -> list[Tag]:
    """The first tag of each wording."""
    first: dict[str, Tag] = {}
    for tag in tags:
        first.setdefault(folded(tag.text), tag)
    return list(first.values())


def _shown(text: str, rules: TagRules) -> str:
    text = text if rules.keep_underscores else with_spaces(text)
    return escape_brackets(text) if rules.escape else text
