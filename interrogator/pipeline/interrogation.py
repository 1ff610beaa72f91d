"""The result of an interrogation."""

from __future__ import annotations

from dataclasses import asdict, dataclass, field
from typing import Any

from ..models import Tag
from ..prompts import escape_brackets


@dataclass(frozen=True)
class RankedPhrase:
    """A phrase of a bank.

    Attributes:
        similarity: its cosine with the image.
        evidence: how likely it is true of the image, 0 to 1; None in the modes that do not ask.
    """

    text: str
    bank: str
    similarity: float
    evidence: float | None = None


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
        remarks: of the captioner on its caption: `cut`, `looped`; see `Answer`. In mode `precise` also `no_phrases`: no
            phrase of the banks holds; `uncalibrated`: there are no reference images, see `Interrogator.calibrate`.
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
