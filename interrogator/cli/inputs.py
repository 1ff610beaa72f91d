"""What IMAGE arguments stand for: files, the pictures of folders, the matches of patterns, and standard input."""

from __future__ import annotations

import glob
import os
import sys
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING

from ..errors import ImageReadError, RequestError
from ..images import decode_image, open_image

if TYPE_CHECKING:
    from PIL import Image

STDIN = "-"


@dataclass(frozen=True)
class Input:
    """One picture that was asked for.

    Attributes:
        name: its path as the user wrote it or would write it; `-` is standard input.
        problem: why there is no picture; "" where there may be one.
    """

    name: str
    problem: str = ""

    def open(self) -> Image.Image:
        """Read the picture. Raises ImageReadError."""
        if self.problem:
            raise ImageReadError(self.name, self.problem)
        if self.name == STDIN:
            return decode_image(sys.stdin.buffer.read(), "standard input")
        return open_image(self.name)


@dataclass
class Group:
    """Pictures that go through the models together: by index of the input, the picture or why there is none."""

    inputs: Sequence[Input]
    images: dict[int, Image.Image] = field(default_factory=dict)
    errors: dict[int, ImageReadError] = field(default_factory=dict)


def find_inputs(arguments: Iterable[str]) -> list[Input]:
    """The pictures that arguments name, in the order of the arguments, and inside a folder or pattern by name."""
    return [found for argument in arguments for found in _inputs_of(argument)]


def names_one_picture(arguments: Sequence[str]) -> bool:
    """Whether the arguments can stand for one picture only, whatever lies in folders now."""
    return len(arguments) == 1 and not os.path.isdir(arguments[0]) and not _is_pattern(arguments[0])


def read_groups(inputs: Sequence[Input], size: int) -> Iterator[Group]:
    """The inputs in groups, each read when its turn comes."""
    for start in range(0, len(inputs), size):
        group = Group(inputs[start : start + size])
        for index, each in enumerate(group.inputs):
            try:
                group.images[index] = each.open()
            except ImageReadError as error:
                group.errors[index] = error
        yield group


def _inputs_of(argument: str) -> list[Input]:
    if os.path.isdir(argument):
        return _in_folder(argument)
    if _is_pattern(argument):
        return _matching(argument)
    return [Input(argument)]


def _is_pattern(argument: str) -> bool:
    """A file may have brackets in its name; only what does not exist is taken for a pattern."""
    return argument != STDIN and glob.has_magic(argument) and not os.path.lexists(argument)


def _matching(pattern: str) -> list[Input]:
    paths = sorted(path for path in glob.glob(pattern, recursive=True) if not os.path.isdir(path))
    return [Input(path) for path in paths] or [Input(pattern, "no file matches this pattern")]


def _in_folder(folder: str) -> list[Input]:
    """Every picture under a folder, in the order in which `interrogator caption` takes them."""
    from ..dataset.sources import open_source  # only now: other inputs do without

    try:
        source = open_source(folder, kind="folder")
        items = list(source.items())
    except RequestError as error:
        return [Input(folder, str(error).removeprefix(f"{folder}: "))]
    found = [Input(str(Path(folder, item.key)), item.problem) for item in items]
    return found or [Input(folder, "this folder has no pictures")]
