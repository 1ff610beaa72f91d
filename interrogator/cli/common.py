"""`interrogator common`: what images share, and what each has of its own."""

from __future__ import annotations

import argparse
from collections.abc import Sequence
from dataclasses import asdict

from ..errors import RequestError
from ..pipeline import Compared, Interrogator, Survey
from ..pipeline.completion import check_numbers
from .answers import GROUP_SIZE, label, report_error
from .choices import chosen_banks
from .image_captions import ImageCaptions
from .inputs import Input, find_inputs, read_groups
from .interrogators import load_with_table
from .terminal import Bar, on_one_line, put, put_json, say

_ENCODER = frozenset({"encoder"})


def common(args: argparse.Namespace) -> int:
    """List what images share, with the share of the images; then what each has of its own, with its evidence.

    With --json, one object for all images and one for each. Captions beside the images are compared, too.
    """
    check_numbers(args.top, args.strictness)
    if not 0 < args.share <= 1:
        raise RequestError(f"--share must be above 0 and at most 1, not {args.share}")
    inputs = find_inputs(args.images)
    read, survey = _surveyed(args, inputs)
    failed = len(inputs) - len(read)
    if survey is not None:
        _write(args, read, survey.compared(args.top, args.share))
    if failed and len(inputs) > 1:
        say(f"{failed} of {len(inputs)} images failed")
    return 1 if failed else 0


def _surveyed(args: argparse.Namespace, inputs: Sequence[Input]) -> tuple[list[Input], Survey | None]:
    """The images that can be read, counted; None if there are none."""
    beside = ImageCaptions()
    ci: Interrogator | None = None
    survey: Survey | None = None
    read: list[Input] = []
    for group in read_groups(inputs, GROUP_SIZE):
        for index, error in group.errors.items():
            report_error(args, group.inputs[index], error)
        if not group.images:
            continue
        if ci is None or survey is None:
            ci = load_with_table(args, chosen_banks(args))
            survey = ci.survey(args.strictness)
        with Bar(label(group)) as bar:
            readings = ci.read([*group.images.values()], _ENCODER, progress=bar)
        for index, reading in zip(group.images, readings, strict=True):
            assert reading.embedding is not None
            survey.add(reading.embedding, beside.of(group.inputs[index].name) or "")
            read.append(group.inputs[index])
    return read, survey


def _write(args: argparse.Namespace, inputs: Sequence[Input], found: Compared) -> None:
    shared = [*found.common, *found.claims]
    each = list(zip(inputs, found.distinctive, found.own_claims, strict=True))
    if args.json:
        common = {"pictures": found.pictures, "common": [asdict(phrase) for phrase in found.common]}
        put_json({**common, "claims": [{"text": claim.text, "share": claim.share} for claim in found.claims]})
        for source, phrases, claims in each:
            rows = [{"text": one.text, "bank": one.bank, "evidence": one.evidence} for one in phrases]
            put_json({"image": source.name, "distinctive": rows, "claims": claims})
        return
    for phrase in shared:
        put(f"common\t{phrase.share:.4f}\t{phrase.bank or 'claim'}\t{phrase.text}")
    for source, phrases, claims in each:
        for own in phrases:
            put(f"{on_one_line(source.name)}\t{own.evidence:.4f}\t{own.bank}\t{own.text}")
        for claim in claims:
            put(f"{on_one_line(source.name)}\t\tclaim\t{claim}")
