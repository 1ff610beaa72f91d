"""`interrogator tag`: a tagger's tags for each image."""

from __future__ import annotations

import argparse
from collections.abc import Sequence
from dataclasses import asdict
from typing import TYPE_CHECKING

from ..errors import RequestError
from ..models import Tag
from ..reading import Models, read
from ..registry import load_tagger
from ..taggers import select_tags
from .answers import answer_images, row_prefix
from .download import load_with_consent
from .inputs import Input
from .terminal import Bar, put, put_json

if TYPE_CHECKING:
    from PIL import Image

    from ..models import Tagger


def tag(args: argparse.Namespace) -> int:
    """List the tags that hold for each image: probability, category and tag, behind the image where there are several.

    With --json, one object an image that holds all of its tags.
    """
    for name in ("threshold", "character_threshold"):
        if not 0 <= getattr(args, name) <= 1:
            flag = f"--{name.replace('_', '-')}"
            raise RequestError(f"{flag} must be a probability from 0 to 1, not {getattr(args, name)}")

    def load() -> Tagger:
        return load_with_consent(
            args,
            lambda download, bar: load_tagger(
                args.tagger, device=args.device, dtype=args.dtype, download=download, progress=bar
            ),
        )

    def tag_images(tagger: Tagger, images: Sequence[Image.Image], bar: Bar) -> list[list[Tag]]:
        readings = read(images, frozenset({"tagger"}), Models(tagger=tagger), progress=bar)
        return [select_tags(reading.tags or (), args.threshold, args.character_threshold) for reading in readings]

    def write(source: Input, tags: list[Tag]) -> None:
        if args.json:
            put_json({"image": source.name, "tags": [asdict(each) for each in tags]})
            return
        for each in tags:
            put(f"{row_prefix(args, source)}{each.probability:.4f}\t{each.category}\t{each.text}")

    return answer_images(args, load, tag_images, write)
