"""What the commands that take images share: pictures in groups through models that load when the first one is read."""

from __future__ import annotations

import argparse
import os
from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING, TypeVar

from .inputs import Group, Input, find_inputs, names_one_picture, read_groups
from .terminal import Bar, put_json, say

if TYPE_CHECKING:
    from PIL import Image

    from ..errors import ImageReadError
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
    inputs = find_inputs(args.images)
    loaded: Loaded | None = None
    failed = 0
    for group in read_groups(inputs, group_size):
        answers: dict[int, Answer] = {}
        if group.images:
            loaded = load() if loaded is None else loaded
            with Bar(_label(group)) as bar:
                answers = dict(zip(group.images, answer(loaded, [*group.images.values()], bar), strict=True))
        for index, each in enumerate(group.inputs):
            if index in group.errors:
                _report(args, each, group.errors[index])
            else:
                write(each, answers[index])
        failed += len(group.errors)
    if failed and len(inputs) > 1:
        say(f"{failed} of {len(inputs)} images failed")
    return 1 if failed else 0


def row_prefix(args: argparse.Namespace, source: Input) -> str:
    """What a line begins with: the image, or nothing where the arguments can name no other."""
    return "" if names_one_picture(args.images) else f"{source.name}\t"


def prepare_table(ci: Interrogator) -> None:
    """Open or make the table of phrase embeddings, with a bar of its own."""
    dtype = str(ci.encoder.dtype).removeprefix("torch.")
    say(f"device {ci.encoder.device} {dtype}, encoder {ci.encoder.name}, {sum(map(len, ci.banks))} phrases")
    with Bar("embedding phrases", unit="phrase") as bar:
        ci.table(bar)


def _label(group: Group) -> str:
    """The first picture of a group by name, and how many follow."""
    first = os.path.basename(group.inputs[min(group.images)].name)
    return first if len(group.images) == 1 else f"{first} +{len(group.images) - 1}"


def _report(args: argparse.Namespace, source: Input, error: ImageReadError) -> None:
    """Name a picture that cannot be read on stderr, and with --json in its line on stdout, too."""
    say(f"interrogator: {error}")
    if args.json:
        put_json({"image": source.name, "error": str(error)})
