"""Interrogate Image: the node that most people need. An image in, a prompt out."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from comfy_api.latest import io

from .. import interrogator
from ..interrogator import catalog
from ..interrogator.banks import ARTISTS
from ..interrogator.modes import MODES, Mode
from ..interrogator.needs import Needs, needs_of
from . import host, models, result_box
from .batching import only, paired
from .brackets import escape_input, prompts, tag_lists
from .image_tensors import pictures
from .modes import ModeChoice, mode_input
from .sockets import Banks, Captioner, Encoder, Tagger
from .widgets import FREE, preset_memory_input

if TYPE_CHECKING:
    from ..interrogator import PhraseBank
    from ..interrogator.catalog import Role

CATEGORY = "interrogator"


class InterrogatorImage(io.ComfyNode):
    """Picks the models by preset, except those that are connected."""

    @classmethod
    def define_schema(cls) -> io.Schema:
        return io.Schema(
            node_id="InterrogatorImage",
            display_name="Interrogate Image",
            category=CATEGORY,
            description="Turns an image into the prompt that would make it: a caption and the phrases that fit it"
            " best.",
            is_input_list=True,
            is_output_node=True,
            hidden=[io.Hidden.unique_id],
            inputs=[
                io.Image.Input("image", tooltip="One image or a batch. Each image gets its own prompt."),
                io.Combo.Input(
                    "preset",
                    options=models.preset_names(),
                    default=catalog.DEFAULT_PRESET,
                    tooltip="Which models to use. sd15, sd21, sdxl: the CLIP model of that Stable Diffusion version."
                    " small: fast. anime: tags, with mode tags. flux, vlm: long sentences, with mode caption. demo:"
                    " tiny built-in models that know only cartoon creatures.",
                ),
                mode_input(),
                io.Combo.Input(
                    "artists", options=list(ARTISTS), default="all", optional=True,
                    tooltip="Which artists the prompt may name: all, long_dead (dead for at least 70 years) or none."
                    " Connected banks use their own setting.",
                ),
                io.Boolean.Input(
                    "negative", default=False, optional=True,
                    tooltip="Also make a negative prompt: styles the image does not have, and faults. If off, nodes"
                    " connected to that output do not run.",
                ),
                io.Boolean.Input(
                    "download", default=False, optional=True,
                    tooltip="Download missing models once from the Hugging Face hub into models/interrogator. If"
                    " off, the network is never used.",
                ),
                escape_input(),
                io.String.Input(
                    "caption", optional=True, force_input=True,
                    tooltip="A caption from another node instead of the captioner's: one for all images, or one per"
                    " image.",
                ),
                Banks.Input(
                    "banks", optional=True, tooltip="Phrases from Load Phrase Banks, instead of the preset's."
                ),
                Captioner.Input(
                    "captioner", optional=True,
                    tooltip="From Load Captioner or Captioner at an Endpoint, instead of the preset's, which is then"
                    " not loaded.",
                ),
                Encoder.Input(
                    "encoder", optional=True,
                    tooltip="From Load CLIP Encoder, instead of the preset's, which is then not loaded.",
                ),
                Tagger.Input(
                    "tagger", optional=True,
                    tooltip="From Load Tagger, instead of the preset's. Mode tags and the output tags need one.",
                ),
                preset_memory_input(),
            ],
            outputs=[
                io.String.Output(
                    "prompt", display_name="prompt", is_output_list=True, tooltip="One prompt per image."
                ),
                io.String.Output(
                    "caption_out", display_name="caption", is_output_list=True, tooltip="One caption per image."
                ),
                io.String.Output(
                    "negative_out", display_name="negative", is_output_list=True,
                    tooltip="One negative prompt per image, if `negative` is on.",
                ),
                io.String.Output(
                    "tags", display_name="tags", is_output_list=True,
                    tooltip="The tags of each image, separated by commas, in mode tags or with a tagger connected."
                    " Otherwise, nodes connected to this output do not run.",
                ),
                io.String.Output(
                    "phrases", display_name="phrases", is_output_list=True,
                    tooltip="The phrases in the prompt, one JSON list per image: text, bank, similarity. For Prompt for"
                    " Encoders and Assemble Prompt.",
                ),
            ],
        )  # fmt: skip

    @classmethod
    def execute(
        cls, image: list[Any], preset: list[str], mode: dict[str, Any] | None = None, artists: list[str] | None = None,
        negative: list[bool] | None = None, download: list[bool] | None = None, escape: list[bool] | None = None,
        caption: list[str] | None = None, banks: list[Any] | None = None, captioner: list[Any] | None = None,
        encoder: list[Any] | None = None, tagger: list[Any] | None = None, memory: list[str] | None = None,
    ) -> io.NodeOutput:  # fmt: skip
        images = pictures(image)
        choice = ModeChoice.of(only(mode), tuple(MODES))
        captions = paired(caption, len(images), "captions")
        row = catalog.preset(only(preset))
        wants_negative = bool(only(negative))
        needs = needs_of_node(choice.mode, wants_negative, None not in captions, bool(tagger))
        given: dict[Role, Any] = {"captioner": captioner, "encoder": encoder, "tagger": tagger}
        parts: dict[Role, Any] = {role: only(value) for role, value in given.items() if value}
        parts |= models.load_preset(
            row, needs - parts.keys(), download=bool(only(download)), node_id=cls.hidden.unique_id,
            frees=only(memory) == FREE,
        )  # fmt: skip
        phrases: list[PhraseBank] = []
        if "encoder" in needs:
            phrases = only(banks) or interrogator.load_banks(row.banks, artists=only(artists) or "all")
        ci = interrogator.Interrogator(
            parts.get("captioner"), parts.get("encoder"), phrases, models.embedding_cache(),
            tagger=parts.get("tagger"),
        )  # fmt: skip

        progress = host.progress()
        with host.explain_out_of_memory():
            readings = ci.read(images, needs, captions=captions, progress=progress)
            results = [ci.compose(reading, choice.mode, progress=progress, **choice.options) for reading in readings]
            ci.remember(readings)
            unlike = [ci.compose(reading, Mode.NEGATIVE, progress=progress) for reading in readings if wants_negative]

        written, negatives = prompts(results, only(escape)), prompts(unlike, only(escape))
        return io.NodeOutput(
            written,
            [result.caption for result in results],
            negatives if wants_negative else host.blocked(),
            tag_lists(results, only(escape)) if "tagger" in needs else host.blocked(),
            [result_box.as_json(result.phrases) for result in results],
            ui=result_box.ui(result_box.of(results, written, negatives)),
        )


def needs_of_node(mode: Mode, negative: bool, is_captioned: bool, is_tagged: bool) -> Needs:
    """The roles that a run needs: `is_captioned` where captions are connected, `is_tagged` where a tagger is."""
    needs = needs_of(mode, captioned=is_captioned)
    if negative:
        needs |= needs_of(Mode.NEGATIVE)
    return needs | {"tagger"} if is_tagged else needs
