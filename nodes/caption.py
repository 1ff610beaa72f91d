"""Caption Image: a captioner's caption for each image."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

from comfy_api.latest import io

from .. import interrogator
from ..interrogator.captioners.named_prompts import NAMED_PROMPTS
from ..interrogator.errors import CaptionError
from . import host, result_box
from .batching import only
from .given_texts import texts_of
from .image_tensors import pictures
from .sockets import Captioner
from .widgets import advanced

if TYPE_CHECKING:
    from ..interrogator import CaptionOptions, Reading

OWN_QUESTION = "none"
"""The named prompt of those who leave the question to the captioner."""


class InterrogatorCaption(io.ComfyNode):
    """Writes captions, with control over the question and over decoding."""

    @classmethod
    def define_schema(cls) -> io.Schema:
        return io.Schema(
            node_id="InterrogatorCaption",
            display_name="Caption Image",
            category="interrogator",
            description="Writes a caption of an image. Captioners that follow questions take yours.",
            is_input_list=True,
            is_output_node=True,
            inputs=[
                io.Image.Input("image", tooltip="One image or a batch. Each image gets its own caption."),
                Captioner.Input("captioner", tooltip="From Load Captioner or Captioner at an Endpoint."),
                io.String.Input(
                    "prefix", default="", placeholder="a picture of",
                    tooltip="Text that the caption begins with; it steers the rest. Not every captioner can do this.",
                ),
                io.Boolean.Input(
                    "keep_prefix", default=False,
                    tooltip="Keep the prefix in the caption. If off, the caption is only the text after it.",
                ),
                io.Int.Input(
                    "max_length", default=0, min=0, max=4096, step=1,
                    tooltip="Maximum number of tokens; a word takes one or more. 0: the captioner's own, from 32 for"
                    " BLIP to 1024 for models that write paragraphs.",
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
                *_question_inputs(),
                *_sampling_inputs(),
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
        named_prompt: list[str] | None = None, ask: list[str] | None = None, trigger: list[str] | None = None,
        tags: list[str] | None = None, system: list[str] | None = None, temperature: list[float] | None = None,
        seed: list[int] | None = None,
    ) -> io.NodeOutput:  # fmt: skip
        images = pictures(image)
        longest, shortest = only(max_length), only(min_length)
        if longest and shortest > longest:
            raise ValueError(f"min_length ({shortest}) is above max_length ({longest}): lower it.")
        question = (only(ask) or "").strip() or _named(only(named_prompt))
        options = interrogator.CaptionOptions(
            max_new_tokens=longest or None,
            min_new_tokens=shortest,
            num_beams=only(beams),
            repetition_penalty=only(repetition_penalty),
            prefix=only(prefix),
            keep_prefix=only(keep_prefix),
            ask=question,
            trigger=(only(trigger) or "").strip(),
            tags=_tags(tags, len(images)),
            system=(only(system) or "").strip(),
            temperature=only(temperature) or 0.0,
            seed=only(seed) or 0,
        )
        _check_question(options)
        ci = interrogator.Interrogator(only(captioner), None, [], caption_options=options)
        with host.explain_out_of_memory():
            readings = ci.read(images, {"captioner"}, progress=host.progress())
        captions = _captions(readings)
        return io.NodeOutput(
            captions,
            ui=result_box.ui(
                [
                    result_box.Result(caption, remarks=reading.captions[0].remarks)
                    for caption, reading in zip(captions, readings, strict=True)
                ],
                images,
            ),
        )


def _question_inputs() -> list[Any]:
    return [
        io.Combo.Input(
            "named_prompt", options=[OWN_QUESTION, *NAMED_PROMPTS], default=OWN_QUESTION, optional=True,
            tooltip="A question that captioners can follow. none: the captioner's own. training needs a trigger,"
            " tag-grounded needs tags.",
        ),
        io.String.Input(
            "ask", default="", multiline=True, optional=True, placeholder="your own question",
            tooltip="Your own question or instruction, in place of the named one; Florence-2 takes tokens such as"
            " <MORE_DETAILED_CAPTION>. Trigger and tags fill {trigger} and {tags} in it. BLIP cannot follow one.",
        ),
        io.String.Input(
            "trigger", default="", optional=True,
            tooltip="The word that {trigger} stands for, such as the name of the character you train.",
        ),
        io.String.Input(
            "tags", optional=True, force_input=True,
            tooltip="The tags that {tags} stands for, from Tag Image: one text for all images, or one per image.",
        ),
        advanced(
            io.String.Input, "system", default="", optional=True, placeholder="You write captions.",
            tooltip="System prompt. Empty: the model's own.",
        ),
    ]  # fmt: skip


def _sampling_inputs() -> list[Any]:
    return [
        advanced(
            io.Float.Input, "temperature", default=0.0, min=0.0, max=2.0, step=0.05, round=0.01, optional=True,
            tooltip="0 takes the likeliest word each time, so that a run can be repeated. Above 0, captions vary with"
            " the seed.",
        ),
        advanced(
            io.Int.Input, "seed", default=0, min=0, max=0xFFFFFFFF, step=1, optional=True, control_after_generate=False,
            tooltip="A different seed gives a different caption if temperature is above 0.",
        ),
    ]  # fmt: skip


def _named(name: str | None) -> str:
    return "" if name in (None, OWN_QUESTION) else str(name)


def _tags(tags: Sequence[str] | None, count: int) -> tuple[str, ...]:
    """The tags of each image; () where none are connected."""
    return tuple(each or "" for each in texts_of(tags, count, "tags", "texts of tags")) if tags else ()


def _check_question(options: CaptionOptions) -> None:
    """Raises ValueError: the question needs what nobody connected or typed."""
    text = NAMED_PROMPTS.get(options.ask, options.ask)
    if "{tags}" in text and not options.tags:
        raise ValueError("The question needs tags: connect Tag Image's output tags to the input tags.")
    if "{trigger}" in text and not options.trigger:
        raise ValueError("The question needs a trigger word: type one into trigger.")


def _captions(readings: Sequence[Reading]) -> list[str]:
    """The caption of each image. Raises CaptionError: one has none; says which, and why."""
    for number, reading in enumerate(readings, 1):
        if reading.error:
            where = f"image {number} of {len(readings)}: " if len(readings) > 1 else ""
            raise CaptionError(f"{where}{reading.error}")
    return [reading.caption for reading in readings]
