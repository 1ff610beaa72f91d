"""Rank Phrases: the phrases most similar to an image."""

from __future__ import annotations

from typing import Any

from comfy_api.latest import io

from .. import interrogator
from . import host, models, result_box
from .bars import bar_picture
from .batching import only
from .image_tensors import as_batch, pictures
from .own_phrases import own_bank
from .sockets import Banks, Encoder


class InterrogatorRank(io.ComfyNode):
    """Ranks banks, or lines typed into the node."""

    @classmethod
    def define_schema(cls) -> io.Schema:
        return io.Schema(
            node_id="InterrogatorRank",
            display_name="Rank Phrases",
            category="interrogator",
            description="Ranks phrases by their similarity to an image.",
            is_input_list=True,
            is_output_node=True,
            inputs=[
                io.Image.Input("image", tooltip="One image or a batch. Phrases are ranked for each image."),
                Encoder.Input("encoder", tooltip="From Load CLIP Encoder."),
                io.String.Input(
                    "lines", default="", multiline=True, placeholder="one phrase per line",
                    tooltip="Your own phrases, one per line. If banks are connected, all phrases are ranked"
                    " together.",
                ),
                io.Int.Input("top", default=10, min=1, max=1000, step=1, tooltip="How many phrases to return."),
                Banks.Input(
                    "banks", optional=True, tooltip="Phrases from Load Phrase Banks, without the bank negative."
                ),
            ],
            outputs=[
                io.String.Output(
                    "text", display_name="text", is_output_list=True,
                    tooltip="The phrases, most similar first, one per line; one text per image.",
                ),
                io.String.Output(
                    "scores", display_name="scores", is_output_list=True,
                    tooltip="The same as a JSON list of text, bank and similarity, one per image. For Assemble"
                    " Prompt.",
                ),
                io.Image.Output(
                    "picture", display_name="picture", is_output_list=True,
                    tooltip="The first 64 of the ranking as a bar chart, one per image.",
                ),
            ],
        )  # fmt: skip

    @classmethod
    def execute(
        cls, image: list[Any], encoder: list[Any], lines: list[str], top: list[int], banks: list[Any] | None = None
    ) -> io.NodeOutput:
        images = pictures(image)
        chosen = list(only(banks) or [])
        own = own_bank(only(lines))
        if own.phrases:
            chosen.append(own)
        if not chosen:
            raise ValueError("There is nothing to rank: type phrases, one per line, or connect Load Phrase Banks.")

        cache = models.embedding_cache()
        ci = interrogator.Interrogator(None, only(encoder), chosen, cache)
        with host.explain_out_of_memory():
            ranked = ci.rank_many(images, top=only(top), progress=host.progress())

        texts = ["\n".join(phrase.text for phrase in phrases) for phrases in ranked]
        return io.NodeOutput(
            texts,
            [result_box.as_json(phrases) for phrases in ranked],
            [as_batch(bar_picture(phrases)) for phrases in ranked],
            ui=result_box.ui(
                [
                    result_box.Result(text, phrases=result_box.bars(phrases))
                    for text, phrases in zip(texts, ranked, strict=True)
                ],
                images,
            ),
        )
