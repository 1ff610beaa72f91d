"""New captions of a picture and those that are there already, put together caption by caption."""

from __future__ import annotations

from collections.abc import Sequence

from ...dataset_choices import Lines, Policy
from ..settings import Settings
from ..text import apply_policy
from ..text.lines import lines_of
from ..text.tags import with_trigger
from .texts import ExistingText


def is_joined(existing: ExistingText | None, policy: Policy) -> bool:
    """Whether new words are put to a text that is there, which then stays."""
    return existing is not None and bool(existing.text) and policy in ("append", "prepend")


def front_trigger(existing: ExistingText | None, settings: Settings) -> str:
    """The trigger that goes in front of the two together, and so is left out of the new text; "" for none."""
    rules = settings.rules
    return rules.trigger if is_joined(existing, settings.policy) and "trigger" not in rules.names else ""


def written(
    existing: ExistingText | None, new: Sequence[str], settings: Settings
) -> tuple[str, tuple[str, ...]] | None:  # fmt: skip
    """What is written of new captions: the text, and all captions; None if that is what is there.

    Where captions stay, each gets a new one, and each new one goes to one of them; of whichever there are fewer, the
    first are taken again.

    Args:
        new: after the rules, the best first; made of the captions that are there if the template names them.
    """
    captions = tuple(new)
    lines: Lines = "as-one" if "\n" in settings.separator else settings.lines  # it makes lines of what it joins
    if existing is None:
        return captions[0], captions
    if is_joined(existing, settings.policy):
        captions = _joined(existing, new, settings, lines)
    elif "existing" not in settings.rules.names:
        text = apply_policy(existing.text, captions[0], settings.policy, settings.separator)
        return None if text is None and not existing.captions else (captions[0], captions)
    text = existing.put_together(captions, lines)
    if captions == existing.several(lines) or text == existing.text and not existing.captions:
        return None
    return text, captions if lines != "first" or existing.captions else tuple(lines_of(text))


def _joined(existing: ExistingText, new: Sequence[str], settings: Settings, lines: Lines) -> tuple[str, ...]:
    old, trigger = existing.several(lines), front_trigger(existing, settings)
    found: list[str] = []
    for index in range(max(len(old), len(new))):
        before, after = old[index % len(old)], new[index % len(new)]
        text = apply_policy(before, after, settings.policy, settings.separator)
        text = before if text is None else text
        text = with_trigger(text, trigger) if trigger else text
        if index < len(old) or text not in found:
            found.append(text)
    return tuple(found)
