"""What a demo creature can be: its attributes, its caption, and the combinations held out of training.

Loads neither torch nor Pillow. The colours stay distinguishable in every medium, so that a caption can be checked word
by word.
"""

from __future__ import annotations

import random
import re
from dataclasses import dataclass

RGB = tuple[int, int, int]

KINDS: tuple[str, ...] = ("dragon", "cat", "rabbit", "frog", "elephant", "octopus", "snail", "crab")

COLORS: dict[str, RGB] = {
    "red": (214, 32, 38),
    "orange": (246, 132, 22),
    "yellow": (250, 216, 40),
    "green": (44, 158, 62),
    "blue": (34, 88, 214),
    "purple": (126, 44, 172),
    "pink": (250, 138, 188),
    "white": (248, 248, 246),
}

FEATURES: tuple[str, ...] = ("wings", "horns", "tail", "crown", "spots")

BACKGROUNDS: dict[str, RGB] = {
    "white": (250, 250, 250),
    "black": (22, 22, 26),
    "gray": (140, 142, 146),
    "beige": (226, 200, 156),
    "teal": (30, 140, 144),
    "lavender": (196, 180, 232),
}

MEDIUMS: dict[str, str] = {
    "pixel art": "a pixel art drawing",
    "crayon": "a crayon drawing",
    "watercolor": "a watercolor painting",
    "oil painting": "an oil painting",
    "mosaic": "a mosaic",
    "neon": "a neon sign",
    "flat vector": "a flat vector illustration",
    "low poly": "a low poly render",
}
"""Each medium's name and the words with which a caption begins."""

PLAIN_SHARE = 0.2
"""Share of creatures that have no feature."""

_SINGULAR = frozenset({"tail", "crown"})


@dataclass(frozen=True)
class Creature:
    """The truth about one picture. `feature` and `feature_color` are None together."""

    kind: str
    color: str
    feature: str | None
    feature_color: str | None
    background: str
    medium: str

    @property
    def caption(self) -> str:
        """The true caption, such as `a mosaic of a red cat with a blue tail on a white background`."""
        with_feature = f" with {feature_phrase(self.feature, self.feature_color)}" if self.feature else ""
        return (
            f"{MEDIUMS[self.medium]} of {article(self.color)} {self.color} {self.kind}"
            f"{with_feature} on {article(self.background)} {self.background} background"
        )


def article(word: str) -> str:
    """`an` before a vowel, else `a`."""
    return "an" if word[0] in "aeiou" else "a"


def feature_phrase(feature: str | None, color: str | None) -> str:
    """`yellow wings`, or `a blue tail` where the word is singular."""
    phrase = f"{color} {feature}"
    return f"{article(phrase)} {phrase}" if feature in _SINGULAR else phrase


def _any_of(words: object) -> str:
    return "|".join(re.escape(word) for word in words)  # type: ignore[attr-defined]


_CAPTION = re.compile(
    rf"(?P<medium>{_any_of(MEDIUMS.values())}) of an? (?P<color>{_any_of(COLORS)}) (?P<kind>{_any_of(KINDS)})"
    rf"(?: with (?:an? )?(?P<feature_color>{_any_of(COLORS)}) (?P<feature>{_any_of(FEATURES)}))?"
    rf" on a (?P<background>{_any_of(BACKGROUNDS)}) background"
)
_MEDIUM_OF_WORDS = {words: medium for medium, words in MEDIUMS.items()}


def parse_caption(text: str) -> Creature | None:
    """The creature that a caption describes; None if the caption does not follow the grammar."""
    match = _CAPTION.fullmatch(text.strip())
    if match is None:
        return None
    words = match.groupdict()
    return Creature(
        kind=words["kind"],
        color=words["color"],
        feature=words["feature"],
        feature_color=words["feature_color"],
        background=words["background"],
        medium=_MEDIUM_OF_WORDS[words["medium"]],
    )


def held_out(creature: Creature) -> bool:
    """Whether this kind, colour and medium were held out of training: one combination in ten, but no pair of them."""
    kind = KINDS.index(creature.kind)
    color = list(COLORS).index(creature.color)
    medium = list(MEDIUMS).index(creature.medium)
    return (3 * kind + 7 * color + medium) % 10 == 0


def draw_attributes(rng: random.Random, only_held_out: bool | None = None) -> Creature:
    """Choose distinguishable attributes: no two adjacent parts share a colour.

    `only_held_out` None allows any combination, True only those held out of training, False only the others.
    """
    while True:
        color = rng.choice(list(COLORS))
        feature, feature_color = None, None
        if rng.random() >= PLAIN_SHARE:
            feature = rng.choice(FEATURES)
            feature_color = rng.choice([name for name in COLORS if name != color])
        creature = Creature(
            kind=rng.choice(KINDS),
            color=color,
            feature=feature,
            feature_color=feature_color,
            background=rng.choice([name for name in BACKGROUNDS if name not in (color, feature_color)]),
            medium=rng.choice(list(MEDIUMS)),
        )
        if only_held_out is None or held_out(creature) == only_held_out:
            return creature
