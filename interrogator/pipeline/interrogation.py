"""The result of an interrogation."""

from __future__ import annotations

from dataclasses import asdict, dataclass, field
from typing import Any

from ..models import Tag
from ..prompts import escape_brackets


@dataclass(frozen=True)
class RankedPhrase:
    """A phrase, its bank, and its cosine similarity to the image."""

    text: str
    bank: str
    similarity: float


@dataclass(frozen=True)
class Interrogation:
    """The result for one image.

    Attributes:
        prompt: a prompt that describes the image.
        caption: the caption from the captioner or the caller; "" for none.
        similarity: cosine of image and prompt; None without an encoder (mode `caption` or `tags`).
        phrases: the phrases in the prompt, in order.
        mode: the requested mode.
        tags: the tags that hold, in the order of `select_tags`; [] without a tagger.
        remarks: of the captioner on its caption: `cut`, `looped`; see `Answer`.
    """

    prompt: str
    caption: str
    similarity: float | None
    phrases: list[RankedPhrase]
    mode: str
    tags: list[Tag] = field(default_factory=list)
    remarks: tuple[str, ...] = ()

    @property
    def escaped_prompt(self) -> str:
        """The prompt with a backslash before each bracket, since ComfyUI and A1111 read brackets as weights."""
        return escape_brackets(self.prompt)

    def as_dict(self) -> dict[str, Any]:
        """The fields as plain values for JSON."""
        values = asdict(self)
        return {**values, "tags": [tag.as_dict() for tag in self.tags]}
