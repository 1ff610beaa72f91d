"""Tag Image: a tagger's tags of each image."""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import replace
from typing import TYPE_CHECKING, Any

from comfy_api.latest import io

from .. import interrogator
from ..interrogator.taggers import SINGLE, TagRules, join_tags
from . import host, result_box
from .bars import bar_picture
from .batching import only
from .brackets import escape_input, escaped
from .image_tensors import as_batch, pictures
from .sockets import Tagger
from .widgets import advanced

if TYPE_CHECKING:
    from PIL.Image import Image

    from ..interrogator import Tag

# Images at a time: a tagger says how probable each of its thousands of tags is, and only those that hold are kept.
_GROUP = 16


class InterrogatorTag(io.ComfyNode):
    """Selects tags by threshold, category and pattern."""

    @classmethod
    def define_schema(cls) -> io.Schema:
        return io.Schema(
            node_id="InterrogatorTag",
            display_name="Tag Image",
            category="interrogator",
            description="Tags an image with words from the tagger's list, each with a probability.",
            is_input_list=True,
            is_output_node=True,
            inputs=[
                io.Image.Input("image", tooltip="One image or a batch. Each image gets its own tags."),
                Tagger.Input("tagger", tooltip="From Load Tagger."),
                io.Float.Input(
                    "threshold", default=0.0, min=0.0, max=1.0, step=0.01, round=0.0001,
                    tooltip="A tag holds if it is more probable than this. 0: the model's own thresholds, or 0.35 if"
                    " it has none.",
                ),
                io.Float.Input(
                    "character_threshold", default=0.0, min=0.0, max=1.0, step=0.01, round=0.0001,
                    tooltip="The same for the names of characters. 0: the model's own thresholds, or 0.85 if it has"
                    " none.",
                ),
                io.Int.Input(
                    "max_tags", default=0, min=0, max=1000, step=1,
                    tooltip="Maximum number of tags, the most probable ones. 0: no limit.",
                ),
                io.String.Input(
                    "blocked", default="", multiline=True, placeholder="tags to leave out, one per line",
                    tooltip="Tags to leave out, one per line or separated by commas. * stands for any text: *_eyes.",
                ),
                io.Boolean.Input(
                    "keep_underscores", default=False,
                    tooltip="Leave tags as the model has them: long_hair. If off, underscores become spaces, except in"
                    " faces such as ^_^.",
                ),
                escape_input(),
                advanced(
                    io.Boolean.Input, "mcut", default=False, optional=True,
                    tooltip="Find the thresholds that are 0 in the image itself: at the widest gap between its"
                    " probabilities.",
                ),
            ],
            outputs=[
                io.String.Output(
                    "tags", display_name="tags", is_output_list=True,
                    tooltip="The tags separated by commas, characters first; one text per image.",
                ),
                io.String.Output(
                    "tag_list", display_name="list", is_output_list=True,
                    tooltip="The same as one item per tag, image after image: nodes after it run once per tag.",
                ),
                io.String.Output(
                    "json", display_name="json", is_output_list=True,
                    tooltip="A JSON list per image of text, probability and category; with the rating, if the model"
                    " gives one.",
                ),
                io.Image.Output(
                    "picture", display_name="picture", is_output_list=True,
                    tooltip="The probabilities as a bar chart, one per image.",
                ),
            ],
        )  # fmt: skip

    @classmethod
    def execute(
        cls, image: list[Any], tagger: list[Any], threshold: list[float], character_threshold: list[float],
        max_tags: list[int], blocked: list[str], keep_underscores: list[bool], escape: list[bool] | None = None,
        mcut: list[bool] | None = None,
    ) -> io.NodeOutput:  # fmt: skip
        rules = TagRules(
            threshold=only(threshold) or None,
            character_threshold=only(character_threshold) or None,
            mcut=bool(only(mcut)),
            max_tags=only(max_tags) or None,
            block=_patterns(only(blocked)),
            keep_underscores=only(keep_underscores),
        )
        images = pictures(image)
        with host.explain_out_of_memory():
            found = _tagged(images, only(tagger), rules)

        held = [_escaped(tags, only(escape)) for tags in found]
        texts = [join_tags(tags) for tags in held]
        charts = [result_box.tag_bars(tags) for tags in found]
        return io.NodeOutput(
            texts,
            [tag.text for tags in held for tag in tags],
            [json.dumps([tag.as_dict() for tag in tags], ensure_ascii=False) for tags in found],
            [as_batch(bar_picture(bars, full=1.0)) for bars in charts],
            ui=result_box.ui([_result(text, bars) for text, bars in zip(texts, charts, strict=True)], images),
        )


def _tagged(images: Sequence[Image], tagger: Any, rules: TagRules) -> list[list[Tag]]:
    """The tags of each image that hold, its rating last."""
    with_rating = replace(rules, ratings=True)
    ci = interrogator.Interrogator(None, None, [], tagger=tagger)
    progress = host.progress()
    found: list[list[Tag]] = []
    for start in range(0, len(images), _GROUP):
        share = _share(progress, start, len(images))
        found += ci.tag_many(images[start : start + _GROUP], share, rules=with_rating)
    return found


def _share(progress: host.Progress, start: int, total: int) -> host.Progress:
    return lambda done, _: progress(start + done, total)


def _escaped(tags: Sequence[Tag], escape: bool | None) -> list[Tag]:
    """The tags without the rating, parentheses escaped unless `escape` is off."""
    return [replace(tag, text=escaped(tag.text, escape)) for tag in tags if tag.category not in SINGLE]


def _patterns(text: str | None) -> tuple[str, ...]:
    return tuple(each.strip() for each in (text or "").replace("\n", ",").split(",") if each.strip())


def _result(text: str, bars: Sequence[result_box.Bar]) -> result_box.Result:
    return result_box.Result(text, phrases=bars, full=1.0, remarks=() if text else (result_box.NO_TAGS,))
