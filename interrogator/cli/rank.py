"""`interrogator rank`: the phrases most like each image."""

from __future__ import annotations

import argparse
from collections.abc import Sequence
from dataclasses import asdict
from typing import TYPE_CHECKING

from ..errors import RequestError
from ..pipeline import Interrogator, RankedPhrase
from .answers import answer_images, row_prefix
from .choices import chosen_banks
from .inputs import Input
from .interrogators import load_with_table
from .terminal import Bar, put, put_json

if TYPE_CHECKING:
    from PIL import Image


def rank(args: argparse.Namespace) -> int:
    """List the phrases most like each image: similarity, bank and phrase, behind the image where there are several."""
    if args.top < 1:
        raise RequestError(f"--top must be at least 1, not {args.top}")
    banks = chosen_banks(args)

    def rank_images(ci: Interrogator, images: Sequence[Image.Image], bar: Bar) -> list[list[RankedPhrase]]:
        return ci.rank_many(images, top=args.top, progress=bar)

    def write(source: Input, phrases: list[RankedPhrase]) -> None:
        for phrase in phrases:
            if args.json:
                put_json({"image": source.name, **asdict(phrase)})
            else:
                put(f"{row_prefix(args, source)}{phrase.similarity:.4f}\t{phrase.bank}\t{phrase.text}")

    return answer_images(args, lambda: load_with_table(args, banks), rank_images, write)
