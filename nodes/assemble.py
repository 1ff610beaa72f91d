"""Assemble Prompt: caption and phrases in your own order."""

from __future__ import annotations

from comfy_api.latest import io

from .. import interrogator
from . import result_box
from .given_texts import caption_of
from .own_phrases import OWN


class InterrogatorAssemble(io.ComfyNode):
    """Fills a template."""

    @classmethod
    def define_schema(cls) -> io.Schema:
        return io.Schema(
            node_id="InterrogatorAssemble",
            display_name="Assemble Prompt",
            category="interrogator",
            description="Fills your own template with a caption and ranked phrases.",
            inputs=[
                io.String.Input(
                    "template", default="{caption}, {mediums} {artists}, {flavors}", multiline=True,
                    tooltip="Names in braces are replaced: caption, phrases (all of them), a role (artists, mediums,"
                    " movements, sites, flavors, negative) or any bank. Empty fields leave no comma behind.",
                ),
                io.String.Input(
                    "caption", optional=True, force_input=True, tooltip="From any node that writes captions."
                ),
                io.String.Input(
                    "phrases", optional=True, force_input=True,
                    tooltip="The output phrases of Interrogate Image or Interrogate (advanced), or scores of Rank"
                    " Phrases.",
                ),
            ],
            outputs=[io.String.Output("prompt", display_name="prompt", tooltip="The filled template.")],
        )  # fmt: skip

    @classmethod
    def execute(cls, template: str, caption: str | None = None, phrases: str | None = None) -> io.NodeOutput:
        ranked = result_box.from_json(phrases)
        return io.NodeOutput(interrogator.assemble(template, caption_of(caption), ranked, banks=[OWN]))
