"""What is true of a demo creature: demo phrases exactly, those of the real banks where they say the same."""

from __future__ import annotations

import re

from ..demo.attributes import BACKGROUNDS, COLORS, FEATURES, KINDS, MEDIUMS, Creature, parse_caption
from ..demo.training.texts import FALSE_OF_ALL, TRUE_OF_ALL, Claim, claims_of
from ..demo.training.words import ALWAYS_TRUE, MEDIUM_NAMES, MOVEMENTS, QUALITIES

# Words in which banks of a larger world say what is true of a medium; and what is true of every creature.
_SAME_MEDIUM = {
    "pixel art": r"pixel|8-?bit|16-?bit|sprite|voxel",
    "crayon": r"crayon|scribbl|hatch|childlike|naive|naïve|children's",
    "watercolor": r"watercolou?r|wash|bleeding|wet|romanticism",
    "oil painting": r"\boil\b|impasto|brush ?strokes|brushwork|canvas|impressionis|expressionis",
    "mosaic": r"mosaic|\btile|tessera|byzantin",
    "neon": r"neon|glow|synthwave|cyberpunk",
    "flat vector": r"vector|\bflat\b|minimalis|clean shapes|solid color|crisp edges",
    "low poly": r"poly|facet|triang|geometric abs|cubis",
}
_SAME_OF_ALL = r"cartoon|creature|character|full[- ]body|cent(er|re)d composition|big eyes|\bcute\b"


def claims(phrase: str) -> frozenset[Claim]:
    """What a phrase of the demo banks claims."""
    for medium in MEDIUMS:
        if phrase in (*MEDIUM_NAMES[medium], *MOVEMENTS[medium], *QUALITIES[medium]):
            return frozenset({("medium", medium)})
    if phrase in ALWAYS_TRUE:
        return frozenset({TRUE_OF_ALL})
    if phrase == "no wings or horns":
        return frozenset({("feature", "none")})
    first, _, last = phrase.partition(" ")
    if first in COLORS and last == "body":
        return frozenset({("color", first)})
    if first in BACKGROUNDS and last == "background":
        return frozenset({("background", first)})
    if first == "cartoon" and last in KINDS:
        return frozenset({("kind", last)})
    if first in COLORS and last in FEATURES:
        return frozenset({("feature", last), ("feature_color", first)})
    return frozenset({FALSE_OF_ALL})


def is_true(phrase: str, truth: Creature, of_demo: bool) -> bool:
    """Whether a phrase is true of a creature. of_demo: it is of the demo banks, whose every phrase is known."""
    if of_demo:
        return claims(phrase) <= claims_of(truth)
    text = phrase.casefold()
    same = (_SAME_MEDIUM[truth.medium], _SAME_OF_ALL, rf"\b{truth.kind}\b", rf"\b{truth.background} background")
    colors = {truth.color, truth.feature_color, truth.background}
    return any(re.search(pattern, text) for pattern in same) or text in colors


def facts_stated(truth: Creature, phrases: dict[str, bool], caption: str) -> tuple[int, int]:
    """How many of a creature's facts a prompt states, and how many there are.

    Facts are the kind, the colour of the body, the feature with its colour, the background, the medium by its name, and
    a texture or style of it.

    Args:
        phrases: of the prompt; True for those of the demo banks.
        caption: "" for none.
    """
    said = parse_caption(caption)
    of_medium = [
        text for text, demo in phrases.items()
        if not demo and re.search(_SAME_MEDIUM[truth.medium], text.casefold())
    ]  # fmt: skip
    stated = {
        "kind": f"cartoon {truth.kind}" in phrases or (said is not None and said.kind == truth.kind),
        "color": f"{truth.color} body" in phrases or (said is not None and said.color == truth.color),
        "background": f"{truth.background} background" in phrases
        or (said is not None and said.background == truth.background),
        "medium": any(text in phrases for text in MEDIUM_NAMES[truth.medium])
        or bool(of_medium)
        or (said is not None and said.medium == truth.medium),
        "style": any(text in phrases for text in (*MOVEMENTS[truth.medium], *QUALITIES[truth.medium]))
        or bool(of_medium),
    }
    if truth.feature is not None:
        right = said is not None and (said.feature, said.feature_color) == (truth.feature, truth.feature_color)
        stated["feature"] = f"{truth.feature_color} {truth.feature}" in phrases or right
    return sum(stated.values()), len(stated)
