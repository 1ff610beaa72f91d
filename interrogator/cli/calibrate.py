"""`interrogator calibrate`: learn from pictures with captions what an encoder's similarities are worth."""

from __future__ import annotations

import argparse
from pathlib import Path
from typing import TYPE_CHECKING

from ..errors import ImageReadError
from ..evidence import MAX_REFERENCES
from ..pipeline import Interrogator, load
from ..pipeline.loader import NONE
from .choices import captioner_name
from .download import load_with_consent
from .inputs import Input, find_inputs
from .terminal import Bar, put, put_json, say

if TYPE_CHECKING:
    from PIL import Image

_SIDECARS = (".txt", ".caption")


def calibrate(args: argparse.Namespace) -> int:
    """Take pictures as references: each with the caption beside it, else with the captioner's."""
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
            captions.append(_beside(source))
    captioner = captioner_name(args) if None in captions else NONE

    def load_models(download: bool, bar: Bar) -> Interrogator:
        return load(
            args.preset, captioner=captioner, tagger=NONE, encoder=args.encoder, matcher=NONE, device=args.device,
            dtype=args.dtype, cache_dir=args.cache_dir, download=download, progress=bar, checkpoint=args.checkpoint,
        )  # fmt: skip

    ci = load_with_consent(args, load_models)
    with Bar("calibrating") as bar:
        found = ci.calibrate(images, captions, bar)
    if args.json:
        put_json({"encoder": ci.encoder.name, "references": len(found.references), "failed": failed})
    else:
        put(f"{ci.encoder.name}: calibrated with {len(found.references)} pictures")
    return 1 if failed else 0


def _beside(source: Input) -> str | None:
    """The caption in a text file beside a picture; None where there is none."""
    for suffix in _SIDECARS:
        path = Path(source.name).with_suffix(suffix)
        if path.is_file():
            return " ".join(path.read_text(encoding="utf-8", errors="replace").split()) or None
    return None
