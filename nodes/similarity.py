"""Image-Text Similarity: how much an image and a text are alike."""

from __future__ import annotations

from typing import Any

from comfy_api.latest import io

from .. import interrogator
from . import host, result_box
from .batching import only
from .given_texts import texts_of
from .image_tensors import pictures
from .sockets import Encoder


class InterrogatorSimilarity(io.ComfyNode):
    """Compares every image with its text."""

    @classmethod
    def define_schema(cls) -> io.Schema:
        return io.Schema(
            node_id="InterrogatorSimilarity",
            display_name="Image-Text Similarity",
            category="interrogator",
            description="Cosine similarity of an image and a text: higher means more alike, about 0.1 to 0.35 with"
            " CLIP.",
            is_input_list=True,
            is_output_node=True,
            inputs=[
                io.Image.Input("image", tooltip="One image or a batch."),
                Encoder.Input("encoder", tooltip="From Load CLIP Encoder."),
                io.String.Input(
                    "text", default="", multiline=True, placeholder="a prompt",
                    tooltip="One text for all images, or a list with one text per image.",
                ),
            ],
            outputs=[
                io.Float.Output(
                    "similarity", display_name="similarity", is_output_list=True,
                    tooltip="One number per image, from -1 to 1.",
                )
            ],
        )  # fmt: skip

    @classmethod
    def execute(cls, image: list[Any], encoder: list[Any], text: list[str]) -> io.NodeOutput:
        images = pictures(image)
        texts = [(given or "").strip() for given in texts_of(text, len(images), "text", "texts")]
        if not all(texts):
            raise ValueError("There is no text to compare with: type or connect one.")
        ci = interrogator.Interrogator(None, only(encoder), [])
        column = {text: index for index, text in enumerate(dict.fromkeys(texts))}
        with host.explain_out_of_memory():
            table = ci.similarity_many(images, list(column), host.progress())  # [B, N]: images, distinct texts
        similarities = [float(row[column[text]]) for row, text in zip(table, texts, strict=True)]
        return io.NodeOutput(
            similarities,
            ui=result_box.ui(
                [
                    result_box.Result(text, similarity=similarity)
                    for text, similarity in zip(texts, similarities, strict=True)
                ],
                images,
            ),
        )
