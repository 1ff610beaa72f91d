"""What a request needs of which models: decided here, before anything is loaded."""

from __future__ import annotations

from collections.abc import Iterable

from .captioners.named_prompts import asks_for_tags
from .modes import MODES, Mode
from .qualities import QUALITIES, Quality

FIELDS = ("prompt", "caption", "tags", "phrases")
"""Names of a template that are no bank and no role of banks: the text of the mode, and what it is made of."""

Needs = frozenset[str]
"""Roles whose models are needed: captioner, tagger, encoder, matcher, and reranker, a second encoder."""

_OF_FIELD: dict[str, Needs] = {
    "prompt": frozenset(),  # whatever the mode needs
    "caption": frozenset({"captioner"}),
    "tags": frozenset({"tagger"}),
}
_ENCODER: Needs = frozenset({"encoder"})


def needs_of(
    mode: Mode,
    *,
    template_fields: Iterable[str] = (),
    quality: Quality = Quality.GREEDY,
    score: bool = False,
    captioned: bool = False,
    ask: str = "",
) -> Needs:
    """The roles that a request needs.

    Args:
        mode: how the prompt is made.
        template_fields: names in the template that stand for the answer of a model: `FIELDS`, banks and their roles.
        quality: how captions are made.
        score: whether each text is compared with its image.
        captioned: whether every caption is given, so that none is written.
        ask: what the captioner is asked, as in `CaptionOptions`.
    """
    needs = set(MODES[mode].needs)
    for name in template_fields:
        needs |= _OF_FIELD.get(name, _ENCODER)
    if captioned:
        needs.discard("captioner")
    if "captioner" in needs:
        traits = QUALITIES[quality]
        needs = (needs - {"captioner"}) | {traits.writer} | traits.needs
    if "captioner" in needs and asks_for_tags(ask):
        needs.add("tagger")
    if score:
        needs.add("encoder")
    return frozenset(needs)
