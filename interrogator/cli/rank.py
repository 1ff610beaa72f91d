"""`interrogator rank`: the phrases most like each image."""

from __future__ import annotations

import argparse
from collections.abc import Sequence
from dataclasses import asdict
from typing import TYPE_CHECKING

from ..errors import RequestError
from ..pipeline import Interrogator, RankedPhrase, load
from ..pipeline.loader import NONE
from .answers import answer_images, prepare_table, row_prefix
from .choices import chosen_banks
from .download import load_with_consent
from .inputs import Input
from .terminal import Bar, put, put_json

if TYPE_CHECKING:
    from PIL import Image


def rank(args: argparse.Namespace) -> int:
    """List the phrases most like each image: similarity, bank and phrase, behind the image where there are several."""
    if args.top < 1:
        raise RequestError(f"--top must be at least 1, not {args.top}")
    banks = chosen_banks(args)

    def load_encoder() -> Interrogator:
        ci = load_with_consent(
            args,
            lambda download, bar: load(
                args.preset, captioner=NONE, tagger=NONE, encoder=args.encoder, matcher=NONE, banks=banks,
                device=args.device, dtype=args.dtype, cache_dir=args.cache_dir, download=download, progress=bar,
                checkpoint=args.checkpoint,
            ),
        )  # fmt: skip
        prepare_table(ci)
        return ci

    def rank_images(ci: Interrogator, images: Sequence[Image.Image], bar: Bar) -> list[list[RankedPhrase]]:
        return ci.rank_many(images, top=args.top, progress=bar)

    def write(source: Input, phrases: list[RankedPhrase]) -> None:
        for phrase in phrases:
            if args.json:
                put_json({"image": source.name, **asdict(phrase)})
            else:
                put(f"{row_prefix(args, source)}{phrase.similarity:.4f}\t{phrase.bank}\t{phrase.text}")

    return answer_images(args, load_encoder, rank_images, write)
