"""What the models say of a picture."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from ...pipeline import RankedPhrase


@dataclass(frozen=True)
class Candidate:
    """One caption of a picture, and what is known of it by name of the score."""

    text: str
    scores: Mapping[str, float] = field(default_factory=dict)

    def with_score(self, name: str, score: float) -> Candidate:
        """The same with one more score."""
        return replace(self, scores={**self.scores, name: score})


@dataclass(frozen=True)
class Written:
    """What the models say of a picture.

    Attributes:
        captions: the best first; at least one.
        phrases: that the template or the mode asked for.
        flags: what is to be said of it; see `Record.flags`.
    """

    captions: Sequence[Candidate]
    phrases: Sequence[RankedPhrase] = ()
    flags: tuple[str, ...] = ()
