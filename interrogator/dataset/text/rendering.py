"""From the caption that a model wrote to the one that is written."""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import PurePosixPath
from typing import TYPE_CHECKING

from ...errors import RequestError
from ...models import Tag
from ..records import Item
from .rules import CaptionRules, with_names
from .words import Token, holds, repeated, shown, tidy, tokens_of

if TYPE_CHECKING:
    from ...pipeline import RankedPhrase

FLAGS = ("empty_caption", "over_limit", "missing_trigger", "missing_word", "forbidden_word", "repeats")
"""What `render` may say of a caption, in this order."""


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
    wording: CaptionRules,
    count: Callable[[str], int],
    size: tuple[int, int] = (0, 0),
    *,
    caption: str | None = None,
    phrases: Sequence[RankedPhrase] = (),
    tags: Sequence[Tag] = (),
) -> RenderedText:
    """What becomes of a text: strip, replace, template and trigger, prefix and suffix, tidied, cut.

    Args:
        prompt: the text of the mode, which `{prompt}` stands for.
        caption: what `{caption}` stands for; None where it is the text of the mode.
        phrases: what `{phrases}`, roles and banks in the template stand for.
        tags: what `{tags}` stands for.
        count: tokens of a text; not fewer for a longer one.
        size: width and height of the picture; 0 is unknown and leaves the field empty.
    """
    cleaned = tidy(wording.cleaned(prompt))
    said = cleaned if caption is None else tidy(wording.cleaned(caption))
    body = _assembled(cleaned, said, phrases, tags, wording, _values(item, wording, size))
    tokens = tokens_of(f"{wording.prefix} {body} {wording.suffix}")
    over = 0 < wording.max_tokens < count(shown(tokens))
    if over:
        tokens = _cut(tokens, wording, count)
    text = shown(tokens)
    found = {
        "empty_caption": not _has_words(text, cleaned, said, wording),
        "over_limit": over,
        "missing_trigger": bool(wording.trigger) and not holds(text, tidy(wording.trigger)),
        "missing_word": not _has_required(text, wording),
        "forbidden_word": _has_forbidden(text, wording),
        "repeats": bool(repeated(text)),
    }
    return RenderedText(text, count(text), tuple(flag for flag in FLAGS if found[flag]))


def choose(candidates: Sequence[str], scores: Sequence[float], wording: CaptionRules) -> int | None:
    """The place of the best candidate that, once render, has all required and no forbidden words; None: none has.

    Of equal scores the first wins. What the trigger, prefix and suffix say counts as said.

    Raises:
        RequestError: there are not as many scores as candidates.
    """
    if len(candidates) != len(scores):
        raise RequestError(f"{len(candidates)} captions were given with {len(scores)} scores")
    order = sorted(range(len(scores)), key=lambda place: -scores[place] if scores[place] == scores[place] else math.inf)
    for place in order:
        text = wording.cleaned(candidates[place])
        said = f"{wording.prefix} , {wording.trigger} , {text} , {wording.suffix}"
        if _has_required(said, wording) and not _has_forbidden(text, wording):
            return place
    return None


def _values(item: Item, wording: CaptionRules, size: tuple[int, int]) -> dict[str, str]:
    path = PurePosixPath(item.key)
    width, height = (str(side or "") for side in size)
    return {
        "trigger": wording.trigger, "key": item.key, "stem": path.stem, "folder": path.parent.name, "width": width,
        "height": height,
    }  # fmt: skip


def _has_words(text: str, prompt: str, caption: str, wording: CaptionRules) -> bool:
    """Whether the models' part of a text says anything."""
    parts = {"prompt": prompt, "caption": caption}
    named = [part for name, part in parts.items() if name in wording.names]
    return bool(text) and (any(named) or not named)


def _assembled(
    prompt: str, caption: str, phrases: Sequence[RankedPhrase], tags: Sequence[Tag], wording: CaptionRules,
    values: Mapping[str, str],
) -> str:  # fmt: skip
    """The template filled in, and the trigger in front where the template does not name it."""
    text = prompt
    if wording.template != CaptionRules.template:
        from ...pipeline.templates import assemble

        try:
            template = with_names(wording.template, values)
            text = assemble(template, caption, phrases, wording.banks, tags=tags, prompt=prompt)
        except RequestError:  # the template is right, as was found when it was checked: there is nothing to fill in
            text = ""
    if wording.trigger and "trigger" not in wording.names and not holds(text, tidy(wording.trigger)):
        return f"{wording.trigger} , {text}"
    return text


def _cut(tokens: list[Token], wording: CaptionRules, count: Callable[[str], int]) -> list[Token]:
    """As many words from the beginning as fit beside the prefix and the trigger, which stay."""
    kept = set(range(len(tokens_of(wording.prefix)))) | _places_of_trigger(tokens, wording.trigger)
    others = [place for place in range(len(tokens)) if place not in kept]

    def shortened(words: int) -> list[Token]:
        chosen = kept.union(others[:words])
        short: list[Token] = []
        last = -1
        for place, token in enumerate(tokens):
            if place in chosen:
                short.append(token)
                last = place
            elif token.comma and short and last not in kept:
                short[-1] = Token(short[-1].text, comma=True)  # what was said up to here still ends here
        return short

    low, high = 0, len(others)  # so many words fit, or none does; more than so many do not
    while low < high:
        middle = (low + high + 1) // 2
        if count(shown(shortened(middle))) <= wording.max_tokens:
            low = middle
        else:
            high = middle - 1
    return shortened(low)


def _places_of_trigger(tokens: Sequence[Token], trigger: str) -> set[int]:
    """Where the trigger stands first; nowhere if there is none."""
    size = len(tokens_of(trigger))
    for start in range(len(tokens) - size + 1 if size else 0):
        if holds(shown(tokens[start : start + size]), tidy(trigger)):
            return set(range(start, start + size))
    return set()


def _has_required(text: str, wording: CaptionRules) -> bool:
    return all(holds(text, word) for word in wording.required)


def _has_forbidden(text: str, wording: CaptionRules) -> bool:
    return any(holds(text, word) for word in wording.forbidden)
