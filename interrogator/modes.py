"""The modes: how captions, tags and phrases become a prompt. One table, read by every front end."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from enum import Enum
from types import MappingProxyType
from typing import Literal

from .errors import RequestError

Option = Literal["min_phrases", "max_phrases", "beams", "avoid_repeats", "min_angle", "strictness"]


class Mode(str, Enum):
    """How captions, tags and phrases become a prompt; the recommended mode first."""

    PRECISE = "precise"
    BEST = "best"
    FAST = "fast"
    CLASSIC = "classic"
    CAPTION = "caption"
    NEGATIVE = "negative"
    TAGS = "tags"

    @classmethod
    def of(cls, name: str) -> Mode:
        """The mode of this name.

        Raises:
            RequestError: there is none; lists those there are.
        """
        try:
            return cls(name)
        except ValueError as error:
            raise RequestError(f"unknown mode {name!r}; choose from {', '.join(MODE_NAMES)}") from error


MIN_PHRASES = 8
"""Steps of a chain that may lower similarity, unless asked otherwise: what clip-interrogator takes."""

STRICTNESS = 0.05
"""Share of the accepted phrases that may be false, unless asked otherwise."""

MODE_NAMES: tuple[str, ...] = tuple(mode.value for mode in Mode)


@dataclass(frozen=True)
class ModeTraits:
    """What there is to know of a mode without making a prompt.

    Attributes:
        help: what it does, for a list of modes.
        needs: the roles whose answers the prompt is made of.
        phrases: phrases at most, unless asked otherwise; 0 where the mode takes none.
        options: those of a search that mean something here.
    """

    help: str
    needs: frozenset[str]
    phrases: int = 0
    options: frozenset[Option] = field(default_factory=frozenset)


_CHAIN: frozenset[Option] = frozenset({"min_phrases", "max_phrases", "beams", "avoid_repeats", "min_angle"})
_RANKING: frozenset[Option] = frozenset({"max_phrases", "avoid_repeats", "min_angle"})
_BOTH = frozenset({"captioner", "encoder"})

MODES: Mapping[Mode, ModeTraits] = MappingProxyType(
    {
        Mode.PRECISE: ModeTraits(
            "the caption and the few phrases that are most likely true",
            _BOTH,
            12,
            frozenset({"max_phrases", "strictness"}),
        ),
        Mode.BEST: ModeTraits("searches for the prompt most like the image", _BOTH, 32, _CHAIN),
        Mode.FAST: ModeTraits("the caption and the most similar phrases", _BOTH, 32, _RANKING),
        Mode.CLASSIC: ModeTraits("the caption, a medium, an artist, a movement and a few flavors", _BOTH, 3, _RANKING),
        Mode.CAPTION: ModeTraits("the caption alone", frozenset({"captioner"})),
        Mode.NEGATIVE: ModeTraits(
            "styles the image does not have, and common faults",
            frozenset({"encoder"}),
            12,
            frozenset({"max_phrases", "strictness"}),
        ),
        Mode.TAGS: ModeTraits("the tags of a tagger", frozenset({"tagger"})),
    }
)
