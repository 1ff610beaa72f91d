"""`interrogator tag`: a tagger's tags for each image."""

from __future__ import annotations

import argparse
from collections.abc import Sequence
from dataclasses import replace
from typing import TYPE_CHECKING

from ..catalog import preset as find_preset
from ..errors import RequestError
from ..models import Tag
from ..reading import Models, read
from ..registry import load_tagger
from ..taggers import join_tags, select_tags
from .answers import answer_images, row_prefix
from .download import load_with_consent
from .inputs import Input
from .tag_options import tag_rules, tagger_name
from .terminal import Bar, put, put_json

if TYPE_CHECKING:
    from PIL import Image

    from ..models import Tagger

_TAGGER = frozenset({"tagger"})


def tag(args: argparse.Namespace) -> int:
    """List the tags that hold for each image: probability, category and tag, behind the image where there are several.

    With --text, one line an image with its tags separated by commas. With --json, one object an image that holds both.
    """
    if args.text and args.json:
        raise RequestError("choose one of --text and --json; with --json, the field text has the tags as a prompt")
    name, rules = tagger_name(args, "interrogator tag"), replace(tag_rules(args), escape=args.escape)

    def load() -> Tagger:
        dtype = find_preset(args.preset).dtype_for(args.dtype)
        return load_with_consent(
            args,
            lambda download, bar: load_tagger(name, device=args.device, dtype=dtype, download=download, progress=bar),
        )

    def tag_images(tagger: Tagger, images: Sequence[Image.Image], bar: Bar) -> list[list[Tag]]:
        readings = read(images, _TAGGER, Models(tagger=tagger), progress=bar)
        return [select_tags(reading.tags or (), rules) for reading in readings]

    def write(source: Input, tags: list[Tag]) -> None:
        if args.json:
            rows = [each.as_dict() for each in tags]
            put_json({"image": source.name, "tags": rows, "text": join_tags(tags)})
        elif args.text:
            put(row_prefix(args, source) + join_tags(tags))
        else:
            for each in tags:
                put(f"{row_prefix(args, source)}{each.probability:.4f}\t{each.category}\t{each.text}")

    return answer_images(args, load, tag_images, write)
