"""Caption Image: a captioner's caption for each image."""

from __future__ import annotations

from typing import Any

from comfy_api.latest import io

from .. import interrogator
from . import host, result_box
from .batching import only
from .image_tensors import pictures
from .sockets import Captioner


class InterrogatorCaption(io.ComfyNode):
    """Writes captions, with control over decoding."""

    @classmethod
    def define_schema(cls) -> io.Schema:
        return io.Schema(
            node_id="InterrogatorCaption",
            display_name="Caption Image",
            category="interrogator",
            description="Writes a sentence about an image.",
            is_input_list=True,
            is_output_node=True,
            inputs=[
                io.Image.Input("image", tooltip="One image or a batch. Each image gets its own caption."),
                Captioner.Input("captioner", tooltip="From Load Captioner."),
                io.String.Input(
                    "prefix", default="", placeholder="a picture of",
                    tooltip="Text that the caption begins with; it steers the rest.",
                ),
                io.Boolean.Input(
                    "keep_prefix", default=False,
                    tooltip="Keep the prefix in the caption. If off, the caption is only the text after it.",
                ),
                io.Int.Input(
                    "max_length", default=32, min=1, max=256, step=1,
                    tooltip="Maximum number of tokens; a word takes one or more.",
                ),
                io.Int.Input("min_length", default=0, min=0, max=256, step=1, tooltip="Minimum number of tokens."),
                io.Int.Input(
                    "beams", default=1, min=1, max=16, step=1,
                    tooltip="Number of captions searched side by side: 1 is greedy and fast, 3 to 5 are often"
                    " slightly better.",
                ),
                io.Float.Input(
                    "repetition_penalty", default=1.0, min=0.5, max=3.0, step=0.05, round=0.01,
                    tooltip="Above 1, words already in the caption become less likely.",
                ),
            ],
            outputs=[
                io.String.Output(
                    "caption", display_name="caption", is_output_list=True, tooltip="One caption per image."
                )
            ],
        )  # fmt: skip

    @classmethod
    def execute(
        cls, image: list[Any], captioner: list[Any], prefix: list[str], keep_prefix: list[bool],
        max_length: list[int], min_length: list[int], beams: list[int], repetition_penalty: list[float],
    ) -> io.NodeOutput:  # fmt: skip
        images = pictures(image)
        if only(min_length) > only(max_length):
            raise ValueError(f"min_length ({only(min_length)}) is above max_length ({only(max_length)}): lower it.")
        options = interrogator.CaptionOptions(
            max_new_tokens=only(max_length),
            min_new_tokens=only(min_length),
            num_beams=only(beams),
            repetition_penalty=only(repetition_penalty),
            prefix=only(prefix),
            keep_prefix=only(keep_prefix),
        )
        ci = interrogator.Interrogator(only(captioner), None, [], caption_options=options)
        with host.explain_out_of_memory():
            readings = ci.read(images, {"captioner"}, progress=host.progress())
        captions = [reading.caption for reading in readings]
        return io.NodeOutput(captions, ui=result_box.ui([result_box.Result(caption) for caption in captions]))
