"""From the text of a model to the text that is written."""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import PurePosixPath
from types import MappingProxyType
from typing import TYPE_CHECKING

from ...errors import RequestError
from ...models import Tag
from ...prompts import join, without_stop
from ..records import Item
from .rules import EVIDENCE_NAMES, CaptionRules, with_names
from .tags import spans
from .words import Token, glued, holds, repeated, shown, tidy, tokens_of

if TYPE_CHECKING:
    from ...pipeline import RankedPhrase

FLAGS = ("empty_caption", "over_limit", "missing_trigger", "missing_word", "forbidden_word", "repeats")
"""What `render` finds in a caption, in this order."""


@dataclass(frozen=True)
class RenderedText:
    """A caption ready to be written.

    Attributes:
        tokens: of the text, as it is.
        flags: some of `FLAGS`; over_limit: the text was longer and has been cut.
    """

    text: str
    tokens: int
    flags: tuple[str, ...] = ()


def render(
    prompt: str,
    item: Item,
    rules: CaptionRules,
    count: Callable[[str], int],
    size: tuple[int, int] = (0, 0),
    *,
    caption: str | None = None,
    phrases: Sequence[RankedPhrase] = (),
    tags: Sequence[Tag] = (),
    existing: str = "",
    by_evidence: Mapping[str, Sequence[RankedPhrase]] = MappingProxyType({}),
) -> RenderedText:
    """Apply the rules to a text: strip, replace, template and trigger, prefix and suffix, tidy, cut.

    Args:
        prompt: the text of the mode, for `{prompt}`.
        caption: for `{caption}`; None where it is the text of the mode.
        phrases: for `{phrases}`, roles and banks in the template.
        tags: for `{tags}`; strip and replace change them, too.
        existing: for `{existing}`: the text that was there.
        by_evidence: by name of the field, such as `missing`, the phrases for it.
        count: tokens of a text; not fewer for a longer one.
        size: width and height of the picture; 0 is unknown and leaves the field empty.
    """
    cleaned = tidy(rules.clean(prompt))
    cleaned_caption = cleaned if caption is None else tidy(rules.clean(caption))
    cleaned_tags = _clean_tags(tags, rules)
    values = _values(item, rules, size) | {"existing": without_stop(tidy(existing))}
    values |= {name: join(*(each.text for each in by_evidence.get(name, ()))) for name in EVIDENCE_NAMES}
    body = _fill_in(cleaned, cleaned_caption, phrases, cleaned_tags, rules, values)
    tokens = tokens_of(glued(glued(rules.prefix, body), rules.suffix))
    over = 0 < rules.token_limit < count(shown(tokens))
    if over:
        tokens = _cut(tokens, rules, count)
    text = shown(tokens)
    found = {
        "empty_caption": not _has_words(text, cleaned, cleaned_caption, cleaned_tags, rules),
        "over_limit": over,
        "missing_trigger": bool(rules.trigger) and not holds(text, tidy(rules.trigger)),
        "missing_word": not _has_required(text, rules),
        "forbidden_word": _has_forbidden(text, rules),
        "repeats": bool(repeated(text)),
    }
    return RenderedText(text, count(text), tuple(flag for flag in FLAGS if found[flag]))


def choose(candidates: Sequence[str], scores: Sequence[float], rules: CaptionRules) -> int | None:
    """The index of the best candidate whose rendered text has all required and no forbidden words; None: none has.

    Of equal scores the first wins. The trigger, prefix and suffix count as part of the text.

    Raises:
        RequestError: there are not as many scores as candidates.
    """
    if len(candidates) != len(scores):
        raise RequestError(f"{len(candidates)} captions were given with {len(scores)} scores")
    order = sorted(range(len(scores)), key=lambda each: -scores[each] if scores[each] == scores[each] else math.inf)
    for index in order:
        text = rules.clean(candidates[index])
        whole = f"{rules.prefix} , {rules.trigger} , {text} , {rules.suffix}"
        if _has_required(whole, rules) and not _has_forbidden(text, rules):
            return index
    return None


def _clean_tags(tags: Sequence[Tag], rules: CaptionRules) -> list[Tag]:
    """The tags after strip and replace; one that nothing is left of is left out."""
    if not (rules.strip or rules.replace or rules.replace_regex):
        return list(tags)
    cleaned = [replace(tag, text=tidy(rules.clean(tag.text))) for tag in tags]
    return [tag for tag in cleaned if tag.text]


def _values(item: Item, rules: CaptionRules, size: tuple[int, int]) -> dict[str, str]:
    path = PurePosixPath(item.key)
    width, height = (str(side or "") for side in size)
    return {
        "trigger": rules.trigger, "key": item.key, "stem": path.stem, "folder": path.parent.name, "width": width,
        "height": height,
    }  # fmt: skip


def _has_words(text: str, prompt: str, caption: str, tags: Sequence[Tag], rules: CaptionRules) -> bool:
    """Whether the models' part of a text says anything."""
    parts = {"prompt": prompt, "caption": caption, "tags": tags}
    named = [part for name, part in parts.items() if name in rules.names]
    return bool(text) and (any(named) or not named)


def _fill_in(
    prompt: str, caption: str, phrases: Sequence[RankedPhrase], tags: Sequence[Tag], rules: CaptionRules,
    values: Mapping[str, str],
) -> str:  # fmt: skip
    """Fill in the template, and put the trigger in front where the template does not name it."""
    text = prompt
    if rules.template != CaptionRules.template:
        from ...pipeline.templates import assemble

        try:
            template = with_names(rules.template, values)
            text = assemble(template, caption, phrases, rules.banks, tags=tags, prompt=prompt)
        except RequestError:  # the template itself was checked: there is nothing to fill in
            text = ""
    if rules.trigger and "trigger" not in rules.names and not holds(text, tidy(rules.trigger)):
        return f"{rules.trigger} , {text}"
    return text


def _cut(tokens: list[Token], rules: CaptionRules, count: Callable[[str], int]) -> list[Token]:
    """As many words from the beginning as fit beside the prefix and the trigger, which stay."""
    kept = set(range(len(tokens_of(rules.prefix)))) | _trigger_indices(tokens, rules.trigger)
    others = [index for index in range(len(tokens)) if index not in kept]

    def shortened(words: int) -> list[Token]:
        chosen = kept.union(others[:words])
        short: list[Token] = []
        last = -1
        for index, token in enumerate(tokens):
            if index in chosen:
                short.append(token)
                last = index
            elif token.comma and short and last not in kept:
                short[-1] = Token(short[-1].text, comma=True)  # the phrase still ends here
        return short

    sizes = _sizes(tokens, others)
    low, high = 0, len(sizes) - 1  # that many words fit, or none does; more than the last do not
    while low < high:
        middle = (low + high + 1) // 2
        if count(shown(shortened(sizes[middle]))) <= rules.token_limit:
            low = middle
        else:
            high = middle - 1
    cut = shortened(sizes[low])
    while cut and cut[-1].text.strip("|") == "" and sizes[low] < len(others):
        cut.pop()  # a separator with nothing behind it
    return cut


def _sizes(tokens: Sequence[Token], others: Sequence[int]) -> list[int]:
    """How many of the tokens with these indices may be kept, from none to all: a wildcard `{a|b}` stays whole."""
    text, starts = shown(tokens), [0]
    for token in tokens[:-1]:
        starts.append(starts[-1] + len(token.text) + token.comma + 1)
    inside = {
        index for start, stop in spans(text) for index in range(len(tokens)) if start < starts[index] < stop
    }  # fmt: skip
    return [size for size in range(len(others) + 1) if size == len(others) or others[size] not in inside]


def _trigger_indices(tokens: Sequence[Token], trigger: str) -> set[int]:
    """The indices of the tokens that are the first trigger; none without a trigger."""
    size = len(tokens_of(trigger))
    for start in range(len(tokens) - size + 1 if size else 0):
        if holds(shown(tokens[start : start + size]), tidy(trigger)):
            return set(range(start, start + size))
    return set()


def _has_required(text: str, rules: CaptionRules) -> bool:
    return all(holds(text, word) for word in rules.required)


def _has_forbidden(text: str, rules: CaptionRules) -> bool:
    return any(holds(text, word) for word in rules.forbidden)
