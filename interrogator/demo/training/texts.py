"""Texts of every form the library makes, each with what it claims, so that truth is known for any picture."""

from __future__ import annotations

import random
from dataclasses import dataclass, field

from ..attributes import BACKGROUNDS, COLORS, FEATURES, KINDS, MEDIUMS, Creature, article, feature_phrase
from .words import ALWAYS_FALSE, ALWAYS_TRUE, MEDIUM_NAMES, MOVEMENTS, QUALITIES, UNRELATED

Claim = tuple[str, str]
"""An attribute and the value a text gives it; ("always", "true") fits every picture, ("always", "false") none."""

TRUE_OF_ALL: Claim = ("always", "true")
FALSE_OF_ALL: Claim = ("always", "false")


@dataclass(frozen=True)
class Text:
    """Words and the set of their claims."""

    words: str
    claims: frozenset[Claim] = field(default_factory=frozenset)


def claims_of(truth: Creature) -> frozenset[Claim]:
    """Everything that is true of a creature; a missing feature is the value `none`."""
    claims = {(name, getattr(truth, name) or "none") for name in Creature.__dataclass_fields__}
    return frozenset(claims | {TRUE_OF_ALL})


def whole_caption(truth: Creature) -> Text:
    """The caption with all six claims."""
    return Text(truth.caption, claims_of(truth) - {TRUE_OF_ALL})


def short_caption(truth: Creature, rng: random.Random) -> Text:
    """A caption with some attributes left unsaid, as captions of other hands would have it."""
    claims: set[Claim] = {("color", truth.color), ("kind", truth.kind)}
    words = f"{article(truth.color)} {truth.color} {truth.kind}"
    if truth.feature and truth.feature_color and rng.random() < 0.7:
        words += f" with {feature_phrase(truth.feature, truth.feature_color)}"
        claims |= {("feature", truth.feature), ("feature_color", truth.feature_color)}
    if rng.random() < 0.4:
        words += f" on {article(truth.background)} {truth.background} background"
        claims.add(("background", truth.background))
    if rng.random() < 0.4:
        words = f"{MEDIUMS[truth.medium]} of {words}"
        claims.add(("medium", truth.medium))
    return Text(words, frozenset(claims))


def phrase(truth: Creature, rng: random.Random) -> Text:
    """A bank's phrase that is true of the creature."""
    form = rng.randrange(10)
    if form < 3:
        words = (*MEDIUM_NAMES[truth.medium], *MOVEMENTS[truth.medium], *QUALITIES[truth.medium])
        return Text(rng.choice(words), frozenset({("medium", truth.medium)}))
    if form == 3:
        words = (truth.kind, f"{article(truth.kind)} {truth.kind}", f"cartoon {truth.kind}")
        return Text(rng.choice(words), frozenset({("kind", truth.kind)}))
    if form == 4:
        words = (f"{truth.color} {truth.kind}", f"{article(truth.color)} {truth.color} {truth.kind}")
        return Text(rng.choice(words), frozenset({("kind", truth.kind), ("color", truth.color)}))
    if form == 5:
        return Text(f"{truth.color} body", frozenset({("color", truth.color)}))
    if form == 6:
        words = (f"{truth.background} background", f"on {article(truth.background)} {truth.background} background")
        return Text(rng.choice(words), frozenset({("background", truth.background)}))
    if form < 9 and truth.feature and truth.feature_color:
        colored = frozenset({("feature", truth.feature), ("feature_color", truth.feature_color)})
        plain = frozenset({("feature", truth.feature)})
        words_and_claims = (
            (f"{truth.feature_color} {truth.feature}", colored),
            (f"with {feature_phrase(truth.feature, truth.feature_color)}", colored),
            (truth.feature, plain),
        )
        return Text(*rng.choice(words_and_claims))
    if form < 9 and truth.feature is None:
        return Text("no wings or horns", frozenset({("feature", "none")}))
    return Text(rng.choice(ALWAYS_TRUE), frozenset({TRUE_OF_ALL}))


def unrelated(rng: random.Random) -> Text:
    """Words that say nothing about any creature: false phrases, ordinary words, invented words."""
    if rng.random() < 0.25:
        return Text(rng.choice(ALWAYS_FALSE), frozenset({FALSE_OF_ALL}))
    words = [rng.choice(UNRELATED) if rng.random() < 0.5 else _invented(rng) for _ in range(rng.randint(1, 3))]
    if rng.random() < 0.3:
        words.insert(
            rng.randrange(len(words)), rng.choice(("a", "an", "of", "on", "with", "and", "the", "by", "art", "style"))
        )
    return Text(" ".join(words), frozenset({FALSE_OF_ALL}))


_ONSETS = "b br c ch cl d dr f fl g gr h j k l m n p pl pr qu r s sh st str t th tr v w y z".split()
_VOWELS = "a e i o u ai ea ee io oo ou y".split()
_CODAS = ["", "", *"n r s t l ck ng nt rd st m x tion ing er ed ly".split()]


def _invented(rng: random.Random) -> str:
    if rng.random() < 0.2:
        return "".join(rng.choice("abcdefghijklmnopqrstuvwxyz0123456789") for _ in range(rng.randint(2, 9)))
    syllables = rng.choice((1, 1, 2, 2))
    return "".join(rng.choice(_ONSETS) + rng.choice(_VOWELS) + rng.choice(_CODAS) for _ in range(syllables))


def exchanged(truth: Creature) -> Creature | None:
    """The creature with body and feature colour exchanged; None where it has no feature."""
    if truth.feature_color is None:
        return None
    return Creature(truth.kind, truth.feature_color, truth.feature, truth.color, truth.background, truth.medium)


def altered(truth: Creature, rng: random.Random) -> Creature:
    """The creature with one attribute changed, or its colours exchanged: the hardest false captions."""
    swapped = exchanged(truth)
    if swapped is not None and rng.random() < 0.35:
        return swapped
    values = {name: getattr(truth, name) for name in Creature.__dataclass_fields__}
    choices = {"kind": KINDS, "color": COLORS, "background": BACKGROUNDS, "medium": MEDIUMS}
    if truth.feature is not None:
        choices |= {"feature": FEATURES, "feature_color": COLORS}
    name = rng.choice(list(choices))
    values[name] = rng.choice([value for value in choices[name] if value != values[name]])
    return Creature(**values)


def prompt(truth: Creature, other: Creature, rng: random.Random) -> Text:
    """A comma-joined prompt in the library's manner: a caption, true phrases, some of another picture, some noise."""
    base = whole_caption(truth) if rng.random() < 0.5 else short_caption(truth, rng)
    parts = [base] if rng.random() < 0.85 else []
    noise = rng.choice((0.0, 0.0, 0.15, 0.5))
    for _ in range(rng.choice((1, 1, 2, 2, 3, 4, 5, 7, 10, 14))):
        if rng.random() >= noise:
            parts.append(phrase(truth, rng))
        else:
            parts.append(phrase(other, rng) if rng.random() < 0.6 else unrelated(rng))
    claims = frozenset().union(*(part.claims for part in parts))
    return Text(", ".join(part.words for part in parts), claims)
