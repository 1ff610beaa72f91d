"""Interrogate (advanced): every part and every option of an interrogation."""

from __future__ import annotations

from typing import Any

from comfy_api.latest import io

from .. import interrogator
from ..interrogator.modes import MODES
from ..interrogator.needs import needs_of
from . import host, models, result_box
from .batching import only
from .brackets import escape_input, prompts, tag_lists
from .given_texts import captions_of
from .image_tensors import pictures
from .modes import ModeChoice, full_mode_input
from .sockets import Banks, Captioner, Encoder, Tagger

_CONNECT = {
    "captioner": "There is no caption: connect Load Captioner, or a caption (an empty one for phrases only).",
    "tagger": "Mode tags needs a tagger: connect Load Tagger.",
}


class InterrogatorAdvanced(io.ComfyNode):
    """Takes its models and phrases from the loaders."""

    @classmethod
    def define_schema(cls) -> io.Schema:
        return io.Schema(
            node_id="InterrogatorAdvanced",
            display_name="Interrogate (advanced)",
            category="interrogator",
            description="Turns an image into a prompt with the models, phrases and search options you choose.",
            is_input_list=True,
            is_output_node=True,
            inputs=[
                io.Image.Input("image", tooltip="One image or a batch. Each image gets its own prompt."),
                Encoder.Input("encoder", tooltip="From Load CLIP Encoder."),
                Banks.Input("banks", tooltip="From Load Phrase Banks."),
                full_mode_input(),
                escape_input(),
                Captioner.Input(
                    "captioner", optional=True,
                    tooltip="From Load Captioner or Captioner at an Endpoint. Not needed if a caption is connected.",
                ),
                io.String.Input(
                    "caption", optional=True, force_input=True,
                    tooltip="A caption from any other node: one for all images, or one per image. An empty caption"
                    " gives a prompt of phrases only.",
                ),
                Tagger.Input(
                    "tagger", optional=True, tooltip="From Load Tagger. Needed for mode tags and the output tags."
                ),
            ],
            outputs=[
                io.String.Output(
                    "prompt", display_name="prompt", is_output_list=True, tooltip="One prompt per image."
                ),
                io.String.Output(
                    "caption_out", display_name="caption", is_output_list=True, tooltip="One caption per image."
                ),
                io.String.Output(
                    "phrases", display_name="phrases", is_output_list=True,
                    tooltip="The phrases in the prompt, one JSON list per image: text, bank, similarity. For"
                    " Prompt for Encoders and Assemble Prompt.",
                ),
                io.Float.Output(
                    "similarity", display_name="similarity", is_output_list=True,
                    tooltip="Cosine similarity of image and prompt, one per image.",
                ),
                io.String.Output(
                    "tags", display_name="tags", is_output_list=True,
                    tooltip="The tags of each image, characters first, separated by commas. Without a tagger, nodes"
                    " connected to this output do not run.",
                ),
            ],
        )  # fmt: skip

    @classmethod
    def execute(
        cls, image: list[Any], encoder: list[Any], banks: list[Any], mode: dict[str, Any] | None = None,
        escape: list[bool] | None = None, captioner: list[Any] | None = None, caption: list[str] | None = None,
        tagger: list[Any] | None = None,
    ) -> io.NodeOutput:  # fmt: skip
        images = pictures(image)
        choice = ModeChoice.of(only(mode), tuple(MODES))
        captions = captions_of(caption, len(images))
        # Encoder and tagger each have their own output, in every mode.
        needs = needs_of(choice.mode, captioned=None not in captions, score=True)
        if tagger is not None:
            needs |= {"tagger"}
        parts = {"captioner": only(captioner), "tagger": only(tagger)}
        for role, what_to_do in _CONNECT.items():
            if role in needs and parts[role] is None:
                raise ValueError(what_to_do)

        ci = interrogator.Interrogator(
            parts["captioner"], only(encoder), only(banks), models.embedding_cache(), tagger=parts["tagger"]
        )
        progress = host.progress()
        with host.explain_out_of_memory():
            readings = ci.read(images, needs, captions=captions, progress=progress)
            results = [ci.compose(reading, choice.mode, progress=progress, **choice.options) for reading in readings]
            ci.remember(readings)

        written = prompts(results, only(escape))
        return io.NodeOutput(
            written,
            [result.caption for result in results],
            [result_box.as_json(result.phrases) for result in results],
            [result.similarity for result in results],
            host.blocked() if tagger is None else tag_lists(results, only(escape)),
            ui=result_box.ui(result_box.of(results, written), images),
        )
