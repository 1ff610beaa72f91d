"""Check Caption: which claims of a caption an image does not support."""

from __future__ import annotations

import json
from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

from comfy_api.latest import io

from .. import interrogator
from ..interrogator.evidence import without_claims
from . import host, models, result_box
from .bars import bar_picture
from .batching import only
from .given_texts import texts_of
from .image_tensors import as_batch, pictures
from .sockets import Encoder

if TYPE_CHECKING:
    from ..interrogator import Claim


class InterrogatorCheck(io.ComfyNode):
    """Judges every claim of an image's caption."""

    @classmethod
    def define_schema(cls) -> io.Schema:
        return io.Schema(
            node_id="InterrogatorCheck",
            display_name="Check Caption",
            category="interrogator",
            description="Finds what a caption claims and the image does not support.",
            is_input_list=True,
            is_output_node=True,
            inputs=[
                io.Image.Input("image", tooltip="One image or a batch."),
                Encoder.Input("encoder", tooltip="From Load CLIP Encoder."),
                io.String.Input(
                    "caption", default="", multiline=True, placeholder="a caption, a prompt or tags",
                    tooltip="One text for all images, or a list with one text per image. Each of its claims is"
                    " checked by itself.",
                ),
            ],
            outputs=[
                io.String.Output(
                    "marked", display_name="marked", is_output_list=True,
                    tooltip="The caption with unsupported claims struck through in Markdown: ~~blue wings~~.",
                ),
                io.String.Output(
                    "kept", display_name="kept", is_output_list=True,
                    tooltip="The caption without unsupported claims; empty if there are no others.",
                ),
                io.String.Output(
                    "json", display_name="json", is_output_list=True,
                    tooltip="A JSON list per image of text, span, evidence and verdict.",
                ),
                io.Image.Output(
                    "picture", display_name="picture", is_output_list=True,
                    tooltip="The evidence of each claim as a bar chart, one per image.",
                ),
            ],
        )  # fmt: skip

    @classmethod
    def execute(cls, image: list[Any], encoder: list[Any], caption: list[str]) -> io.NodeOutput:
        images = pictures(image)
        captions = [(given or "").strip() for given in texts_of(caption, len(images), "caption", "captions")]
        if not all(captions):
            raise ValueError("There is no caption to check: type or connect one.")
        ci = interrogator.Interrogator(None, only(encoder), [], models.embedding_cache())
        with host.explain_out_of_memory():
            found = ci.check_many(images, captions, host.progress())
            checker = ci.claim_checker()
        is_guessed = checker.calibration is None and not checker.can_learn_from(captions)

        marked = [_marked(text, claims) for text, claims in zip(captions, found, strict=True)]
        charts = [result_box.claim_bars(claims) for claims in found]
        return io.NodeOutput(
            marked,
            [without_claims(text, claims) for text, claims in zip(captions, found, strict=True)],
            [json.dumps([claim.as_dict() for claim in claims], ensure_ascii=False) for claims in found],
            [as_batch(bar_picture(bars, full=1.0)) for bars in charts],
            ui=result_box.ui(
                [_result(text, bars, is_guessed) for text, bars in zip(marked, charts, strict=True)],
                images,
            ),
        )


def _marked(caption: str, claims: Sequence[Claim]) -> str:
    """The caption with each unsupported claim struck through."""
    for claim in reversed(claims):
        if claim.verdict == "unsupported":
            start, end = claim.span
            caption = f"{caption[:start]}~~{caption[start:end]}~~{caption[end:]}"
    return caption


def _result(text: str, bars: Sequence[result_box.Bar], is_guessed: bool) -> result_box.Result:
    remarks = (result_box.NO_CLAIMS,) if not bars else (result_box.GUESSED,) if is_guessed else ()
    return result_box.Result(text, phrases=bars, full=1.0, remarks=remarks)
