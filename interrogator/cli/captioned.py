"""What the commands share that take images with their captions: given for all, or found beside each."""

from __future__ import annotations

import argparse
from collections.abc import Callable, Mapping, Sequence
from typing import TYPE_CHECKING, TypeVar

from ..errors import CaptionError, RequestError
from .answers import answer_inputs, report_error
from .image_captions import ImageCaptions
from .inputs import STDIN, Group, Input, find_inputs
from .terminal import Bar

if TYPE_CHECKING:
    from PIL import Image

Loaded = TypeVar("Loaded")
Answer = TypeVar("Answer")


def answer_captioned_images(
    args: argparse.Namespace,
    load: Callable[[Sequence[Input], Mapping[str, str]], Loaded],
    answer: Callable[[Loaded, Sequence[Image.Image], Sequence[str], Bar], Sequence[Answer]],
    write: Callable[[Input, str, Answer], None],
) -> int:
    """Write an answer for each image of `args.images` and its caption; name those that have none or cannot be read.

    Args:
        load: called once, with the images that have captions and their captions by name, and only if one can be read.
        answer: one answer for each picture and caption.

    Returns:
        The exit status.
    """
    inputs = find_inputs(args.images)
    captions = _captions_of(args, inputs)
    wanted = [each for each in inputs if each.name in captions or each.problem]
    bare = [each for each in inputs if each.name not in captions and not each.problem]
    for each in bare:
        report_error(args, each, RequestError(_no_caption(each)))

    def answered(loaded: Loaded, group: Group, bar: Bar) -> dict[int, Answer | CaptionError]:
        texts = [captions[group.inputs[index].name] for index in group.images]
        return dict(zip(group.images, answer(loaded, [*group.images.values()], texts, bar), strict=True))

    return answer_inputs(
        args, wanted, lambda: load(wanted, captions), answered,
        lambda each, found: write(each, captions[each.name], found), failed=len(bare),
    )  # fmt: skip


def _captions_of(args: argparse.Namespace, inputs: Sequence[Input]) -> dict[str, str]:
    """By name of the image its caption, as far as there is one."""
    if args.caption is not None:
        return {each.name: args.caption for each in inputs}
    beside = ImageCaptions()
    found = {each.name: beside.of(each.name) for each in inputs}
    return {name: caption for name, caption in found.items() if caption}


def _no_caption(source: Input) -> str:
    if source.name == STDIN:
        return "standard input has no caption beside it: give one with --caption"
    return "has no caption: put one in a .txt file of the same name, or give it with --caption"
