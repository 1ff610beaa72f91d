"""`interrogator check`: which claims of a caption each image does not support."""

from __future__ import annotations

import argparse
from collections.abc import Mapping, Sequence

from ..errors import InterrogatorError, RequestError
from ..evidence import MAX_REFERENCES, MIN_REFERENCES, Claim, ClaimChecker
from ..pipeline import Interrogator, load
from ..pipeline.loader import NONE
from .answers import GROUP_SIZE, label, report_error, row_prefix
from .download import load_with_consent
from .image_captions import ImageCaptions
from .inputs import STDIN, Input, find_inputs, read_groups
from .terminal import Bar, put, put_json, say

_ENCODER = frozenset({"encoder"})


def check(args: argparse.Namespace) -> int:
    """Judge the claims of each image's caption: verdict, evidence and claim, behind the image if there are several.

    With --json, one object an image: its caption and the claims.
    """
    if args.caption is not None and not args.caption.strip():
        raise RequestError("--caption is empty: give the caption to check")
    inputs = find_inputs(args.images)
    beside = ImageCaptions()
    captions = {each.name: beside.of(each.name) if args.caption is None else args.caption for each in inputs}
    wanted = [each for each in inputs if captions[each.name] or each.problem]
    loaded: tuple[Interrogator, ClaimChecker] | None = None
    failed = len(inputs) - len(wanted)
    for each in inputs:
        if each not in wanted:
            report_error(args, each, RequestError(_no_caption(each)))
    for group in read_groups(wanted, GROUP_SIZE):
        errors: dict[int, InterrogatorError] = dict(group.errors)
        found: dict[int, list[Claim]] = {}
        if group.images:
            loaded = _load(args, wanted, captions) if loaded is None else loaded
            texts = [captions[group.inputs[index].name] or "" for index in group.images]
            with Bar(label(group)) as bar:
                claims = loaded[0].check_many([*group.images.values()], texts, bar, checker=loaded[1])
            found = dict(zip(group.images, claims, strict=True))
        for index, each in enumerate(group.inputs):
            if index in errors:
                report_error(args, each, errors[index])
            else:
                _write(args, each, captions[each.name] or "", found[index])
        failed += len(errors)
    if failed and len(inputs) > 1:
        say(f"{failed} of {len(inputs)} images failed")
    return 1 if failed else 0


def _load(
    args: argparse.Namespace, inputs: Sequence[Input], captions: Mapping[str, str | None]
) -> tuple[Interrogator, ClaimChecker]:
    """The models, and a checker that knows what their similarities are worth, as far as that can be known."""
    ci = load_with_consent(
        args,
        lambda download, bar: load(
            args.preset, captioner=NONE, tagger=NONE, encoder=args.encoder, matcher=args.matcher or NONE, banks=(),
            device=args.device, dtype=args.dtype, cache_dir=args.cache_dir, download=download, progress=bar,
            checkpoint=args.checkpoint, references=args.references,
        ),
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
    ci: Interrogator, checker: ClaimChecker, inputs: Sequence[Input], captions: Mapping[str, str | None]
) -> ClaimChecker:
    """The checker calibrated on the images themselves. Standard input can be read only once and is left out."""
    rows, texts = [], []
    for group in read_groups([each for each in inputs if each.name != STDIN][:MAX_REFERENCES], GROUP_SIZE):
        with Bar("calibrating") as bar:
            readings = ci.read([*group.images.values()], _ENCODER, progress=bar)
        rows += [reading.embedding for reading in readings]
        texts += [captions[group.inputs[index].name] or "" for index in group.images]
    return checker.learned(rows, texts)


def _no_caption(source: Input) -> str:
    if source.name == STDIN:
        return "standard input has no caption beside it: give one with --caption"
    return "has no caption: put one in a .txt file of the same name, or give it with --caption"


def _write(args: argparse.Namespace, source: Input, caption: str, claims: Sequence[Claim]) -> None:
    if args.json:
        put_json({"image": source.name, "caption": caption, "claims": [claim.as_dict() for claim in claims]})
        return
    for claim in claims:
        put(f"{row_prefix(args, source)}{claim.verdict}\t{claim.evidence:.4f}\t{claim.text}")
