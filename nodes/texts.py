"""Prompt for Encoders: what the text encoders of an image model read, a socket each."""

from __future__ import annotations

from typing import Any

from comfy_api.latest import io

from ..interrogator import image_models
from ..interrogator.image_models import TextOptions, Word, Words, texts_for
from ..interrogator.prompts import unescape_brackets
from . import host, result_box
from .brackets import escape_input, for_comfyui
from .given_texts import caption_of, text_of

_SOCKETS = ("clip_l", "clip_g", "t5xxl")


class InterrogatorTexts(io.ComfyNode):
    """Puts caption, phrases and tags into the form that each text encoder reads."""

    @classmethod
    def define_schema(cls) -> io.Schema:
        return io.Schema(
            node_id="InterrogatorTexts",
            display_name="Prompt for Encoders",
            category="interrogator",
            description="Writes a text for each text encoder of an image model: keywords for CLIP, sentences for T5 and"
            " Qwen, tags for models of tags. Each fits its encoder.",
            inputs=[
                io.Combo.Input(
                    "image_model", options=[row.name for row in image_models.IMAGE_MODELS], default="sdxl",
                    tooltip="The model that makes images. "
                    + " ".join(f"{row.name}: {row.help}." for row in image_models.IMAGE_MODELS),
                ),
                io.Boolean.Input(
                    "weights", default=False,
                    tooltip="Weight the phrases most like the image: (rim light:1.2). flux and qwen read no weights.",
                ),
                io.Boolean.Input(
                    "quality_tags", default=False,
                    tooltip="Begin with the model's own tags for quality, such as score_9 or masterpiece. Only pony and"
                    " illustrious have any.",
                ),
                escape_input(),
                io.String.Input(
                    "caption", optional=True, force_input=True, tooltip="From any node that writes captions."
                ),
                io.String.Input(
                    "phrases", optional=True, force_input=True,
                    tooltip="The output phrases of Interrogate Image or Interrogate (advanced), or scores of Rank"
                    " Phrases.",
                ),
                io.String.Input(
                    "tags", optional=True, force_input=True,
                    tooltip="Tags separated by commas, from Tag Image. pony and illustrious read these; other models"
                    " only where there are neither caption nor phrases.",
                ),
                io.String.Input(
                    "negative", optional=True, force_input=True,
                    tooltip="A negative prompt, from Interrogate Image or Negative Prompt.",
                ),
            ],
            outputs=[
                io.String.Output(
                    "clip_l", display_name="clip_l",
                    tooltip="For clip_l of CLIP Text Encode Flux and SD3, and text_l of SDXL. For qwen, nodes connected"
                    " to this output do not run.",
                ),
                io.String.Output(
                    "clip_g", display_name="clip_g",
                    tooltip="For clip_g of CLIP Text Encode SD3, and text_g of SDXL. For models without CLIP-G, nodes"
                    " connected to this output do not run.",
                ),
                io.String.Output(
                    "t5xxl", display_name="t5xxl",
                    tooltip="For t5xxl of CLIP Text Encode Flux and SD3. For other models, nodes connected to this"
                    " output do not run.",
                ),
                io.String.Output(
                    "text", display_name="text",
                    tooltip="For CLIP Text Encode (Prompt), where all encoders of the model read the same. For flux and"
                    " sd3, nodes connected to this output do not run.",
                ),
                io.String.Output(
                    "negative_out", display_name="negative",
                    tooltip="The negative prompt within the limit of the first encoder. Empty if none is connected, and"
                    " for flux, which reads none.",
                ),
            ],
        )  # fmt: skip

    @classmethod
    def execute(
        cls, image_model: str, weights: bool, quality_tags: bool, escape: bool | None = None,
        caption: str | None = None, phrases: str | None = None, tags: str | None = None, negative: str | None = None,
    ) -> io.NodeOutput:  # fmt: skip
        row = image_models.image_model(image_model)
        escapes = escape is not False
        ranked = [Word(phrase.text, phrase.bank, phrase.similarity) for phrase in result_box.from_json(phrases)]
        words = Words(unescape_brackets(caption_of(caption)), tuple(ranked), _listed(tags, "tags", "general"))
        written = texts_for(row, words, TextOptions(weights, quality_tags, escapes))
        texts = {encoder: for_comfyui(text) for encoder, text in written.items()}
        unlike = Words(phrases=_listed(negative, "negative", "negative"), negative=True)
        avoided = ""
        if unlike.phrases and row.negative:
            avoided = for_comfyui(next(iter(texts_for(row, unlike, TextOptions(escape=escapes)).values())))
        sockets: list[Any] = [texts[name] if name in texts else host.blocked() for name in _SOCKETS]
        one_form = len({encoder.form for encoder in row.encoders}) == 1
        return io.NodeOutput(*sockets, next(iter(texts.values())) if one_form else host.blocked(), avoided)


def _listed(text: str | None, what: str, bank: str) -> tuple[Word, ...]:
    """Words separated by commas, alike in strength."""
    pieces = (piece.strip() for piece in unescape_brackets(text_of(text, what)).replace("\n", ",").split(","))
    return tuple(Word(piece, bank, 1.0) for piece in pieces if piece)
