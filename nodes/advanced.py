"""Interrogate (advanced): every part and every knob of an interrogation by itself."""

from __future__ import annotations

from typing import Any

from comfy_api.latest import io

from .. import interrogator
from . import host, models, result_box
from .batching import only, paired
from .brackets import escape_input, prompts
from .image_tensors import pictures
from .modes import Asked, full_mode_input
from .sockets import Banks, Captioner, Encoder


class InterrogatorAdvanced(io.ComfyNode):
    """Takes its models and phrases from the loaders."""

    @classmethod
    def define_schema(cls) -> io.Schema:
        return io.Schema(
            node_id="InterrogatorAdvanced",
            display_name="Interrogate (advanced)",
            category="interrogator",
            description="Turns an image into a prompt with models, phrases and search options of your choice.",
            is_input_list=True,
            is_output_node=True,
            inputs=[
                io.Image.Input("image", tooltip="One image or a batch; every image gets a prompt of its own."),
                Encoder.Input("encoder", tooltip="From Load CLIP Encoder."),
                Banks.Input("banks", tooltip="From Load Phrase Banks."),
                full_mode_input(),
                escape_input(),
                Captioner.Input(
                    "captioner", optional=True, tooltip="From Load Captioner. Not needed where a caption is connected."
                ),
                io.String.Input(
                    "caption", optional=True, force_input=True,
                    tooltip="A caption from any other node: one for all images, or one for each. An empty one makes a"
                    " prompt of phrases only.",
                ),
            ],
            outputs=[
                io.String.Output("prompt", display_name="prompt", is_output_list=True, tooltip="One prompt an image."),
                io.String.Output(
                    "caption_out", display_name="caption", is_output_list=True, tooltip="One caption an image."
                ),
                io.String.Output(
                    "phrases", display_name="phrases", is_output_list=True,
                    tooltip="The phrases in the prompt, one JSON list an image: text, bank, similarity. For Assemble"
                    " Prompt.",
                ),
                io.Float.Output(
                    "similarity", display_name="similarity", is_output_list=True,
                    tooltip="Cosine similarity of image and prompt, one an image.",
                ),
            ],
        )  # fmt: skip

    @classmethod
    def execute(
        cls, image: list[Any], encoder: list[Any], banks: list[Any], mode: dict[str, Any] | None = None,
        escape: list[bool] | None = None, captioner: list[Any] | None = None, caption: list[str] | None = None,
    ) -> io.NodeOutput:  # fmt: skip
        images = pictures(image)
        asked = Asked.of(only(mode))
        captions = paired(caption, len(images), "captions")
        voice = only(captioner)
        if voice is None and asked.mode != "negative" and caption is None:
            raise ValueError("There is no caption: connect a captioner, or a caption (an empty one for phrases only).")

        cache = models.embedding_cache()
        ci = interrogator.Interrogator(voice, only(encoder), only(banks), cache)
        with host.told_when_memory_runs_out():
            results = ci.interrogate_many(images, asked.mode, captions, progress=host.progress(), **asked.options)

        written = prompts(results, only(escape))
        return io.NodeOutput(
            written,
            [result.caption for result in results],
            [result_box.as_json(result.phrases) for result in results],
            [result.similarity for result in results],
            ui=result_box.ui(result_box.of(results, written)),
        )
