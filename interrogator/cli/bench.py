"""`interrogator bench`: what the modes find of the true prompts of pictures."""

from __future__ import annotations

import argparse
from collections.abc import Sequence
from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING, Any

from .. import hub
from ..catalog import Role
from ..catalog import preset as find_preset
from ..dataset.review.thumbnails import thumbnail
from ..errors import ImageReadError, InterrogatorError, RequestError
from ..evaluation.picture_bench import DEFAULT_MODES, Comparison, Measured, PictureBench, compare
from ..evaluation.reference import Reference
from ..metadata import true_prompt
from ..modes import MODES, Mode
from ..pipeline import Interrogator
from ..pipeline.loader import NONE
from ..registry import load_encoder
from .answers import prepare_table
from .bench_page import Shown, check_folder, write_page
from .bench_worlds import bench_worlds
from .choices import captioner_name, check_model_options, chosen_banks
from .download import load_with_consent
from .inputs import STDIN, Input, find_inputs
from .interrogators import load_interrogator
from .tables import Table, shown
from .terminal import Bar, on_one_line, put, put_json, say

if TYPE_CHECKING:
    from ..models import Encoder


def bench(args: argparse.Namespace) -> int:
    """Measure on the pictures of `args.images` that hold their prompts; without any, on what is drawn."""
    for name in ("pictures", "seeds", "first"):
        if getattr(args, name) is not None and getattr(args, name) < 1:
            raise RequestError(f"--{name} must be at least 1, not {getattr(args, name)}")
    if args.out:
        check_folder(args.out)
    if not args.images:
        return bench_worlds(args)
    if args.seeds is not None:
        raise RequestError("--seeds has no effect on pictures of your own: none is drawn")
    modes = _modes(args)
    inputs = find_inputs(args.images)
    known = [(each, text) for each in inputs if (text := _truth(each))]
    if not known:
        raise RequestError(_without(inputs))
    return _measure(args, modes, known[: args.pictures], len(inputs) - len(known))


def _truth(source: Input) -> str | None:
    return None if source.problem or source.name == STDIN else true_prompt(source.name)


def _without(inputs: Sequence[Input]) -> str:
    if len(inputs) == 1 and inputs[0].problem:
        return f"{inputs[0].name}: {inputs[0].problem}"
    count = "the picture has no prompt" if len(inputs) == 1 else f"none of the {len(inputs)} pictures has a prompt"
    return f"{count} in its metadata: give PNG, JPEG or WebP files as ComfyUI or A1111 wrote them"


def _modes(args: argparse.Namespace) -> list[Mode]:
    """The modes asked for, else those whose models the options and the preset name. A captioner may be missing.

    Raises RequestError: a mode has no model.
    """
    needed: dict[Mode, Role] = {mode: "captioner" if mode is Mode.CAPTION else "encoder" for mode in DEFAULT_MODES}
    modes = list(args.modes) or [mode for mode in DEFAULT_MODES if _is_named(args, needed[mode])]
    for mode in modes or (Mode.CAPTION,):
        if not _is_named(args, needed[mode]):
            raise RequestError(f"there is no {needed[mode]}, which mode {mode.value} needs: name one")
    return modes


def _is_named(args: argparse.Namespace, role: Role) -> bool:
    named = getattr(args, role) or find_preset(args.preset).model(role)
    return named is not None and named != NONE


def _measure(args: argparse.Namespace, modes: Sequence[Mode], known: Sequence[tuple[Input, str]], without: int) -> int:
    ci = _load(args, modes)
    judge = _judge(args, ci)
    measuring = PictureBench(ci, modes, judge, _peer(args, ci))
    measured: list[Measured] = []
    thumbnails: list[bytes] = []
    failed = 0
    with Bar("measuring", unit="picture") as bar:
        for number, (source, truth) in enumerate(known):
            try:
                image = source.open()
                if not measured:
                    measuring.warm_up(image)
                measured.append(measuring.measure(source.name, truth, image))
                thumbnails.append(thumbnail(image) if args.out else b"")
            except RequestError:
                raise
            except InterrogatorError as error:
                failed += 1
                where = "" if isinstance(error, ImageReadError) else f"{source.name}: "
                say(f"interrogator: {on_one_line(f'{where}{error}')}")
            bar(number + 1, len(known))
    if not measured:
        raise RequestError("none of the pictures could be measured")
    encoder = judge or ci.models.encoder
    found = compare(measured, encoder.encode_texts if encoder else None, args.first)
    table, heading = _table(args, found), _heading(measured, without, failed)
    if args.json:
        put_json(_record(args, measured, found, without, failed))
    else:
        for line in table.lines():
            put(line)
    say(heading)
    if args.out:
        rows = [
            Shown(each.name, data, each.truth, {way: made.prompt for way, made in each.made.items()}, right)
            for each, data, right in zip(measured, thumbnails, found.right, strict=True)
        ]
        write_page(Path(args.out), f"{heading}.", [table], rows)
    return 1 if failed else 0


def _load(args: argparse.Namespace, modes: Sequence[Mode]) -> Interrogator:
    needs = frozenset[str]().union(*(MODES[mode].needs for mode in modes))
    check_model_options(args, needs)
    banks = chosen_banks(args)
    captioner = captioner_name(args) if "captioner" in needs else NONE
    encoder = args.encoder if "encoder" in needs else NONE
    ci = load_interrogator(args, captioner=captioner, encoder=encoder, banks=banks, references=args.references)
    if "encoder" in needs:
        prepare_table(ci)
    if ci.captioner is None:
        say("there is no captioner: prompts have no captions")
    return ci


def _judge(args: argparse.Namespace, ci: Interrogator) -> Encoder | None:
    if args.judge is None:
        return None
    if ci.models.encoder is not None and args.judge in (ci.encoder.name, args.encoder):
        raise RequestError(f"--judge {args.judge} is the encoder that makes the prompts: name another")
    return load_with_consent(
        args,
        lambda download, bar: load_encoder(
            args.judge, device=args.device, dtype=args.dtype, download=download, progress=bar
        ),
    )


def _peer(args: argparse.Namespace, ci: Interrogator) -> Reference | None:
    if not args.clip_interrogator:
        return None
    if ci.captioner is None:
        raise RequestError("--clip-interrogator needs captions: name a captioner")
    say("clip-interrogator embeds its own phrases, the first time all 111,867 of them")
    return Reference(ci.encoder, hub.home() / "clip-interrogator")


def _heading(measured: Sequence[Measured], without: int, failed: int) -> str:
    parts = [f"{len(measured)} pictures measured"]
    parts += [f"{without} without a prompt in their metadata"] if without else []
    parts += [f"{failed} failed"] if failed else []
    return ", ".join(parts)


def _table(args: argparse.Namespace, found: Comparison) -> Table:
    judged = found.true_similarity is not None
    header = ["mode", "said", "found", "by chance", f"first {args.first} right"]
    rows = [
        [way, shown(each.said), shown(each.found), shown(each.by_chance), shown(each.precision)]
        + ([shown(each.similarity)] if judged else [])
        + [shown(each.seconds)]
        for way, each in found.figures.items()
    ]
    if judged:
        rows.append(["true prompt", *["–"] * 4, shown(found.true_similarity), "–"])
    angle = (
        "too few phrases to say how close two must be to mean the same, so words alone count"
        if found.angle is None
        else f"a phrase of the prompt is within {found.angle:.1f} degrees. Of pairs of phrases from the true prompts of"
        " different pictures, of which neither has all words of the other, 99 of 100 are farther apart"
    )
    explained = [
        ("said", "share of the phrases of the true prompts that one phrase of the prompt has all words of"),
        ("found", f"share of them that are said or meant: {angle}"),
        ("by chance", "found of the true prompt of another picture"),
        (header[4], f"share of the first {args.first} phrases of the prompts that the true prompts say or mean"),
        *([("similarity", f"of picture and prompt, by {args.judge}")] if judged else []),
        ("seconds", "from an open picture to its prompt, models loaded and phrases embedded"),
        ("(a–b)", "95 % interval by bootstrap over the pictures"),
    ]
    return Table("Modes", [*header, *(["similarity"] if judged else []), "seconds"], rows, explained)


def _record(
    args: argparse.Namespace, measured: Sequence[Measured], found: Comparison, without: int, failed: int
) -> dict[str, Any]:
    """Everything that was measured; intervals as value, low and high."""
    pictures = [
        {
            "image": each.name,
            "true_prompt": each.truth,
            "modes": {way: {**asdict(made), "similarity": each.similarity.get(way)} for way, made in each.made.items()},
        }
        for each in measured
    ]
    return {
        "measured": len(measured), "without_prompt": without, "failed": failed, "judge": args.judge,
        "first": args.first, "angle": found.angle,
        "true_similarity": found.true_similarity and asdict(found.true_similarity),
        "modes": {way: asdict(each) for way, each in found.figures.items()}, "pictures": pictures,
    }  # fmt: skip
