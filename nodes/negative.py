"""Negative Prompt: styles that an image does not have, and common faults."""

from __future__ import annotations

from typing import Any

from comfy_api.latest import io

from .. import interrogator
from ..interrogator.modes import Mode
from . import host, models, result_box
from .batching import only
from .brackets import escape_input, prompts
from .image_tensors import pictures
from .sockets import Banks, Encoder


class InterrogatorNegative(io.ComfyNode):
    """Mediums and movements that are clearly not those of the image, then the bank `negative`."""

    @classmethod
    def define_schema(cls) -> io.Schema:
        return io.Schema(
            node_id="InterrogatorNegative",
            display_name="Negative Prompt",
            category="interrogator",
            description="Makes a negative prompt: styles that an image clearly does not have, then common faults.",
            is_input_list=True,
            is_output_node=True,
            inputs=[
                io.Image.Input("image", tooltip="One image or a batch. Each image gets its own prompt."),
                Encoder.Input("encoder", tooltip="From Load CLIP Encoder."),
                Banks.Input(
                    "banks",
                    tooltip="From Load Phrase Banks. The node uses its mediums, its movements and its bank negative.",
                ),
                io.Int.Input(
                    "max_phrases", default=12, min=1, max=64, step=1,
                    tooltip="Maximum number of phrases; fewer if they do not fit.",
                ),
                escape_input(),
            ],
            outputs=[
                io.String.Output(
                    "prompt", display_name="prompt", is_output_list=True, tooltip="One negative prompt per image."
                )
            ],
        )  # fmt: skip

    @classmethod
    def execute(
        cls, image: list[Any], encoder: list[Any], banks: list[Any], max_phrases: list[int],
        escape: list[bool] | None = None,
    ) -> io.NodeOutput:  # fmt: skip
        images = pictures(image)
        ci = interrogator.Interrogator(None, only(encoder), only(banks), models.embedding_cache())
        with host.explain_out_of_memory():
            results = ci.interrogate_many(
                images, Mode.NEGATIVE, max_phrases=only(max_phrases), progress=host.progress()
            )  # fmt: skip
        written = prompts(results, only(escape))
        return io.NodeOutput(
            written,
            ui=result_box.ui(result_box.of(results, written), images),
        )
