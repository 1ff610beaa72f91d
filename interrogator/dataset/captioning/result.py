"""What the models say of a picture, as a run takes it."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

from ...models import Tag
from ...reading import Candidate

if TYPE_CHECKING:
    from ...pipeline import RankedPhrase

__all__ = ["Candidate", "CaptionResult"]


@dataclass(frozen=True)
class CaptionResult:
    """What the models say of a picture.

    Attributes:
        texts: of the mode, the best first; at least one. In mode caption these are the captions.
        caption: what the captioner says; "" where none was asked.
        phrases: that the template or the mode asked for.
        tags: that hold, the most probable first.
        flags: what is to be said of it; see `Record.flags`.
    """

    texts: Sequence[Candidate]
    caption: str = ""
    phrases: Sequence[RankedPhrase] = ()
    tags: Sequence[Tag] = ()
    flags: tuple[str, ...] = ()
