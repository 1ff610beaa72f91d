"""What the commands that take images share: pictures in groups through models that load when the first one is read."""

from __future__ import annotations

import argparse
import os
from collections.abc import Callable, Mapping, Sequence
from functools import partial
from typing import TYPE_CHECKING, TypeVar

from ..errors import CaptionError, ImageReadError, InterrogatorError
from .inputs import Group, Input, find_inputs, names_one_picture, read_groups
from .terminal import Bar, on_one_line, put_json, say

if TYPE_CHECKING:
    from PIL import Image

    from ..pipeline import Interrogator

Loaded = TypeVar("Loaded")
Answer = TypeVar("Answer")

GROUP_SIZE = 8
"""Images that go through the models together."""


def answer_images(
    args: argparse.Namespace,
    load: Callable[[], Loaded],
    answer: Callable[[Loaded, Sequence[Image.Image], Bar], Sequence[Answer]],
    write: Callable[[Input, Answer], None],
    group_size: int = GROUP_SIZE,
) -> int:
    """Write an answer for each image of `args.images`, in their order; name those that cannot be read.

    Args:
        load: called once, and only if a picture can be read.
        answer: one answer for each picture.

    Returns:
        The exit status.
    """

    def answered(loaded: Loaded, group: Group, bar: Bar) -> dict[int, Answer | CaptionError]:
        return _answered(partial(answer, loaded), group.images, bar)

    inputs = find_inputs(args.images)
    return answer_inputs(args, inputs, load, answered, write, group_size)


def answer_inputs(
    args: argparse.Namespace,
    inputs: Sequence[Input],
    load: Callable[[], Loaded],
    answer: Callable[[Loaded, Group, Bar], Mapping[int, Answer | CaptionError]],
    write: Callable[[Input, Answer], None],
    group_size: int = GROUP_SIZE,
    failed: int = 0,
) -> int:
    """Write an answer for each input that can be read, in their order; name the others.

    Args:
        load: called once, and only if a picture can be read.
        answer: for each image of a group, by index, an answer or why there is none.
        failed: how many images have been named as failed before; they are not among `inputs`.

    Returns:
        The exit status.
    """
    total = len(inputs) + failed
    loaded: Loaded | None = None
    for group in read_groups(inputs, group_size):
        answers: dict[int, Answer] = {}
        errors: dict[int, InterrogatorError] = dict(group.errors)
        if group.images:
            loaded = load() if loaded is None else loaded
            with Bar(label(group)) as bar:
                found = answer(loaded, group, bar)
            errors |= {index: each for index, each in found.items() if isinstance(each, CaptionError)}
            answers = {index: each for index, each in found.items() if not isinstance(each, CaptionError)}
        for index, each in enumerate(group.inputs):
            if index in errors:
                report_error(args, each, errors[index])
            else:
                write(each, answers[index])
        failed += len(errors)
    if failed and total > 1:
        say(f"{failed} of {total} images failed")
    return 1 if failed else 0


def _answered(
    answer: Callable[[Sequence[Image.Image], Bar], Sequence[Answer]], images: Mapping[int, Image.Image], bar: Bar
) -> dict[int, Answer | CaptionError]:
    """By index the answer for each image; one without a caption does not cost the others theirs."""
    try:
        return dict(zip(images, answer([*images.values()], bar), strict=True))
    except CaptionError as error:
        if len(images) == 1:
            return dict.fromkeys(images, error)
        return {index: _answered(answer, {index: image}, bar)[index] for index, image in images.items()}


def row_prefix(args: argparse.Namespace, source: Input) -> str:
    """What a line begins with: the image, or nothing where the arguments can name no other."""
    return "" if names_one_picture(args.images) else f"{on_one_line(source.name)}\t"


def prepare_table(ci: Interrogator) -> None:
    """Open or make the table of phrase embeddings, with a bar of its own."""
    dtype = str(ci.encoder.dtype).removeprefix("torch.")
    say(f"device {ci.encoder.device} {dtype}, encoder {ci.encoder.name}, {sum(map(len, ci.banks))} phrases")
    with Bar("embedding phrases", unit="phrase") as bar:
        ci.table(bar)


def label(group: Group) -> str:
    """The first picture of a group by name, and how many follow."""
    first = os.path.basename(group.inputs[min(group.images)].name)
    return first if len(group.images) == 1 else f"{first} +{len(group.images) - 1}"


def report_error(args: argparse.Namespace, source: Input, error: InterrogatorError) -> None:
    """Name a picture without an answer on stderr, and with --json in its line on stdout, too."""
    where = "" if isinstance(error, ImageReadError) else f"{source.name}: "
    say(f"interrogator: {on_one_line(f'{where}{error}')}")
    if args.json:
        put_json({"image": source.name, "error": str(error)})
