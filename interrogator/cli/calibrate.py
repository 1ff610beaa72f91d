"""`interrogator calibrate`: learn from pictures with captions what an encoder's similarities are worth."""

from __future__ import annotations

import argparse
from typing import TYPE_CHECKING

from ..errors import ImageReadError
from ..evidence import MAX_REFERENCES
from ..pipeline.loader import NONE
from .choices import captioner_name
from .image_captions import caption_of
from .inputs import find_inputs
from .interrogators import load_interrogator
from .terminal import Bar, put, put_json, say

if TYPE_CHECKING:
    from PIL import Image


def calibrate(args: argparse.Namespace) -> int:
    """Take pictures as references: each with the caption beside it, else its prompt, else the captioner's words."""
    images: list[Image.Image] = []
    captions: list[str | None] = []
    failed = 0
    for source in find_inputs(args.images):
        if len(images) == MAX_REFERENCES:
            say(f"more than {MAX_REFERENCES} pictures change little: the others are left out")
            break
        try:
            images.append(source.open())
        except ImageReadError as error:
            say(f"interrogator: {error}")
            failed += 1
        else:
            captions.append(caption_of(source.name))
    captioner = captioner_name(args) if None in captions else NONE
    ci = load_interrogator(args, captioner=captioner, encoder=args.encoder)
    with Bar("calibrating") as bar:
        found = ci.calibrate(images, captions, bar)
    if args.json:
        put_json({"encoder": ci.encoder.name, "references": len(found.references), "failed": failed})
    else:
        put(f"{ci.encoder.name}: calibrated with {len(found.references)} pictures")
    return 1 if failed else 0
