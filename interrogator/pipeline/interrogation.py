"""What an interrogation answers."""

from __future__ import annotations

from dataclasses import asdict, dataclass, field
from typing import Any

from ..models import Tag
from ..prompts import escape_brackets


@dataclass(frozen=True)
class RankedPhrase:
    """A phrase, the bank it stands in, and its cosine similarity with the image."""

    text: str
    bank: str
    similarity: float


@dataclass(frozen=True)
class Interrogation:
    """The answer for one image.

    Attributes:
        prompt: the words that would make the image.
        caption: by the captioner or the caller; "" for none.
        similarity: cosine of image and prompt; None without an encoder (modes `caption` and `tags`).
        phrases: the phrases in the prompt, in its order.
        mode: the mode that was asked for.
        tags: the tags that a tagger holds true, the most probable first.
    """

    prompt: str
    caption: str
    similarity: float | None
    phrases: list[RankedPhrase]
    mode: str
    tags: list[Tag] = field(default_factory=list)

    @property
    def escaped_prompt(self) -> str:
        """The prompt with a backslash before each bracket, which ComfyUI and A1111 would read as a weight."""
        return escape_brackets(self.prompt)

    def as_dict(self) -> dict[str, Any]:
        """The fields as JSON holds them."""
        return asdict(self)
