"""`interrogator complete`: what each image shows and its caption lacks."""

from __future__ import annotations

import argparse
from collections.abc import Sequence
from dataclasses import asdict
from typing import TYPE_CHECKING

from ..errors import RequestError
from ..pipeline import Interrogator, RankedPhrase
from ..pipeline.completion import check_numbers
from ..prompts import join, without_stop
from .answers import row_prefix
from .captioned import answer_captioned_images
from .choices import chosen_banks
from .inputs import Input
from .interrogators import load_with_table
from .terminal import Bar, put, put_json

if TYPE_CHECKING:
    from PIL import Image


def complete(args: argparse.Namespace) -> int:
    """List the phrases that a caption lacks: evidence, bank and phrase, behind the image where there are several.

    With --text, one line an image: the caption and the phrases. With --json, one object an image that holds both.
    """
    if args.text and args.json:
        raise RequestError("choose one of --text and --json; with --json, the field text has the completed caption")
    check_numbers(args.top, args.strictness)
    banks = chosen_banks(args)

    def complete_images(
        ci: Interrogator, images: Sequence[Image.Image], captions: Sequence[str], bar: Bar
    ) -> list[list[RankedPhrase]]:
        return ci.complete_many(images, captions, args.top, args.strictness, bar)

    def write(source: Input, caption: str, phrases: list[RankedPhrase]) -> None:
        text = join(without_stop(" ".join(caption.split())), *(phrase.text for phrase in phrases))
        if args.json:
            rows = [asdict(phrase) for phrase in phrases]
            put_json({"image": source.name, "caption": caption, "phrases": rows, "text": text})
        elif args.text:
            put(row_prefix(args, source) + text)
        else:
            for phrase in phrases:
                put(f"{row_prefix(args, source)}{phrase.evidence:.4f}\t{phrase.bank}\t{phrase.text}")

    return answer_captioned_images(args, lambda *_: load_with_table(args, banks), complete_images, write)
