"""What an interrogation answers, and the modes it can be asked in."""

from __future__ import annotations

from dataclasses import asdict, dataclass
from enum import Enum
from typing import Any

from ..errors import RequestError
from ..prompts import escape_brackets


class Mode(str, Enum):
    """How caption and ranked phrases become a prompt."""

    CAPTION = "caption"
    CLASSIC = "classic"
    FAST = "fast"
    BEST = "best"
    NEGATIVE = "negative"

    @classmethod
    def of(cls, name: str) -> Mode:
        """The mode of this name.

        Raises:
            RequestError: there is none; lists those there are.
        """
        try:
            return cls(name)
        except ValueError as error:
            raise RequestError(f"no mode is called {name!r}; there is {', '.join(m.value for m in cls)}") from error


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
        caption: what the captioner or the caller said is in it; "" for none.
        similarity: cosine of image and prompt; None where no encoder was there to tell (mode `caption` only).
        phrases: the phrases in the prompt, in its order.
        mode: the mode that was asked for.
    """

    prompt: str
    caption: str
    similarity: float | None
    phrases: list[RankedPhrase]
    mode: str

    @property
    def escaped_prompt(self) -> str:
        """The prompt with a backslash before each bracket, which ComfyUI and A1111 would read as a weight."""
        return escape_brackets(self.prompt)

    def as_dict(self) -> dict[str, Any]:
        """The fields as JSON holds them."""
        return asdict(self)
