"""What the models say of a picture, as a run takes it."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING

from ...models import Tag
from ...prompts import escape_brackets
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
        tags: that hold, as texts have them.
        flags: findings about it; see `Record.flags`.
        error: why there is no text, one sentence; "" where there is.
        by_evidence: by name of the template's field, such as `missing`, the phrases for it.
        encoder_texts: by name of the encoder the text for it, where texts are for an image model.
        unsupported: what the first text claims and the picture does not support, in its own words, the worst first.
        labels: tags that say how the picture is filed, such as its rating, which texts leave out.
    """

    texts: Sequence[Candidate]
    caption: str = ""
    phrases: Sequence[RankedPhrase] = ()
    tags: Sequence[Tag] = ()
    flags: tuple[str, ...] = ()
    error: str = ""
    labels: Sequence[Tag] = ()
    unsupported: tuple[str, ...] = ()
    by_evidence: Mapping[str, Sequence[RankedPhrase]] = field(default_factory=dict)
    encoder_texts: Mapping[str, str] = field(default_factory=dict)

    def escaped(self) -> CaptionResult:
        """The same with a backslash before each bracket in what the models say."""
        return replace(
            self,
            texts=[replace(each, text=escape_brackets(each.text)) for each in self.texts],
            caption=escape_brackets(self.caption),
            phrases=_escaped(self.phrases),
            tags=[replace(each, text=escape_brackets(each.text)) for each in self.tags],
            unsupported=tuple(map(escape_brackets, self.unsupported)),
            by_evidence={name: _escaped(phrases) for name, phrases in self.by_evidence.items()},
        )


def _escaped(phrases: Sequence[RankedPhrase]) -> list[RankedPhrase]:
    return [replace(each, text=escape_brackets(each.text)) for each in phrases]
