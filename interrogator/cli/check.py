"""`interrogator check`: which claims of a caption each image does not support."""

from __future__ import annotations

import argparse
from collections.abc import Mapping, Sequence
from functools import partial
from typing import TYPE_CHECKING

from ..errors import RequestError
from ..evidence import MAX_REFERENCES, MIN_REFERENCES, Claim, ClaimChecker
from ..pipeline import Interrogator
from ..pipeline.loader import NONE
from .answers import GROUP_SIZE, row_prefix
from .captioned import answer_captioned_images
from .inputs import STDIN, Input, read_groups
from .interrogators import load_interrogator
from .terminal import Bar, put, put_json, say

if TYPE_CHECKING:
    from PIL import Image

_ENCODER = frozenset({"encoder"})


def check(args: argparse.Namespace) -> int:
    """Judge the claims of each image's caption: verdict, evidence and claim, behind the image if there are several.

    With --json, one object an image: its caption and the claims.
    """
    if args.caption is not None and not args.caption.strip():
        raise RequestError("--caption is empty: give the caption to check")

    def check_images(
        loaded: tuple[Interrogator, ClaimChecker], images: Sequence[Image.Image], captions: Sequence[str], bar: Bar
    ) -> list[list[Claim]]:
        ci, checker = loaded
        return ci.check_many(images, captions, bar, checker=checker)

    return answer_captioned_images(args, partial(_load, args), check_images, partial(_write, args))


def _load(
    args: argparse.Namespace, inputs: Sequence[Input], captions: Mapping[str, str]
) -> tuple[Interrogator, ClaimChecker]:
    """The models, and a checker that knows what their similarities are worth, as far as that can be known."""
    ci = load_interrogator(
        args, encoder=args.encoder, matcher=args.matcher or NONE, banks=(), references=args.references
    )  # fmt: skip
    checker = ci.claim_checker()
    if args.caption is None and checker.can_learn_from([each.name for each in inputs]):
        checker = _learned(ci, checker, inputs, captions)
    if checker.calibration is None:
        say(
            f"encoder {ci.encoder.name} is not calibrated, so verdicts are less certain; run `interrogator calibrate`, "
            f"or check {MIN_REFERENCES} images or more that have captions of their own at once"
        )
    return ci, checker


def _learned(
    ci: Interrogator, checker: ClaimChecker, inputs: Sequence[Input], captions: Mapping[str, str]
) -> ClaimChecker:
    """The checker calibrated on the images themselves. Standard input can be read only once and is left out."""
    rows, texts = [], []
    for group in read_groups([each for each in inputs if each.name != STDIN][:MAX_REFERENCES], GROUP_SIZE):
        with Bar("calibrating") as bar:
            readings = ci.read([*group.images.values()], _ENCODER, progress=bar)
        rows += [reading.embedding for reading in readings]
        texts += [captions.get(group.inputs[index].name, "") for index in group.images]
    return checker.learned(rows, texts)


def _write(args: argparse.Namespace, source: Input, caption: str, claims: Sequence[Claim]) -> None:
    if args.json:
        put_json({"image": source.name, "caption": caption, "claims": [claim.as_dict() for claim in claims]})
        return
    for claim in claims:
        put(f"{row_prefix(args, source)}{claim.verdict}\t{claim.evidence:.4f}\t{claim.text}")
