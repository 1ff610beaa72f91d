"""The result of an interrogation."""

from __future__ import annotations

from dataclasses import asdict, dataclass, field
from typing import Any

from ..image_models import TextOptions, Word, Words, image_model, texts_for
from ..models import Tag
from ..modes import Mode
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
        remarks: of the captioner on its caption: `cut`, `looped`; see `Answer`. `shortened`: the caption alone exceeds
            the encoder's context, and only its beginning is in the prompt. In mode `precise` also `no_phrases`: no
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

    def texts(
        self, model: str, *, weights: bool = False, quality_tags: bool = False, escape: bool = False
    ) -> dict[str, str]:
        """The text of each text encoder of an image model, in the form it reads and within its limit.

        Args:
            model: sd15, sdxl, sd3, flux, qwen, pony or illustrious; see `image_models.table`.
            weights: weight phrases and tags, `(word:1.2)`, the more the more certain they are.
            quality_tags: begin with the tags for quality that the image model was trained with.
            escape: put a backslash before brackets where they would be read as weights.

        Returns:
            By name of the encoder: {"clip_l": "a red dragon, rim light", "t5xxl": "A red dragon, with rim light."}.

        Raises:
            RequestError: an unknown image model, or one that does not read what is asked for.
        """
        is_negative = self.mode == Mode.NEGATIVE.value
        phrases = [Word(each.text, each.bank, -each.similarity if is_negative else each.similarity)
                   for each in self.phrases]  # fmt: skip
        tags = [Word(tag.text, tag.category, tag.probability) for tag in self.tags]
        words = Words(self.caption, tuple(phrases), tuple(tags), is_negative)
        return texts_for(image_model(model), words, TextOptions(weights, quality_tags, escape))

    def as_dict(self) -> dict[str, Any]:
        """The fields as plain values for JSON."""
        values = asdict(self)
        return {**values, "tags": [tag.as_dict() for tag in self.tags]}
