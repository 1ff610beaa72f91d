"""`interrogator bench` without pictures: worlds whose truth is known, drawn for the demo's models."""

from __future__ import annotations

import argparse
import time
from collections.abc import Sequence
from dataclasses import asdict
from pathlib import Path

from ..catalog import DEFAULT_PRESET
from ..errors import RequestError
from ..evaluation.creature_prompts import FIGURES
from ..evaluation.worlds import (
    MOST_PICTURES,
    MOST_SEEDS,
    WORLD_MODES,
    ClaimRow,
    CreatureRow,
    PlantedRow,
    claim_row,
    creature_rows,
    creatures,
    planted_rows,
)
from ..modes import Mode
from ..pipeline import load
from .bench_page import write_page
from .tables import Table, shown
from .terminal import put, put_json, say

PICTURES = 60
"""Creatures of a seed, unless asked otherwise."""

_WITHOUT_EFFECT = (
    "captioner", "captioner_model", "encoder", "checkpoint", "judge", "clip_interrogator", "bank", "no_bank", "block",
    "block_list", "quota",
)  # fmt: skip


def bench_worlds(args: argparse.Namespace) -> int:
    """Judge the modes on creatures, check wrong captions, and rank phrases in planted worlds."""
    modes = _modes(args)
    pictures, seeds = args.pictures or PICTURES, args.seeds or 1
    if pictures > MOST_PICTURES or seeds > MOST_SEEDS:
        raise RequestError(f"--pictures is at most {MOST_PICTURES} and --seeds at most {MOST_SEEDS} without pictures")
    started = time.monotonic()
    demo = load(
        "demo", tagger="none", device=args.device, dtype=args.dtype, cache_dir=args.cache_dir,
        references=args.references,
    )  # fmt: skip
    # With all banks, a chain takes seconds a picture.
    modes_of_all = [mode for mode in modes if args.modes or mode is not Mode.BEST]
    say(f"drawing {pictures * seeds} creatures")
    drawn = creatures(demo, pictures, seeds)
    prompts = list(creature_rows(demo, drawn, modes, modes_of_all, say))
    claims, embeddings = claim_row(demo, pictures, seeds), list(planted_rows(seeds))
    tables = [_prompts(prompts), _claims(claims), _embeddings(embeddings)]
    if args.json:
        put_json(
            {
                "pictures": pictures, "seeds": seeds, "prompts": [asdict(row) for row in prompts],
                "claims": asdict(claims), "planted": [asdict(row) for row in embeddings],
            }
        )  # fmt: skip
    else:
        put("\n\n".join("\n".join([table.title, *table.lines()]) for table in tables))
    heading = f"{pictures * seeds} creatures, measured in {time.monotonic() - started:.0f} s"
    say(heading)
    if args.out:
        write_page(Path(args.out), f"{heading}.", tables)
    return 0


def _modes(args: argparse.Namespace) -> Sequence[Mode]:
    """The modes to judge. Raises RequestError: an option or a mode means nothing here."""
    given = [name for name in _WITHOUT_EFFECT if getattr(args, name)]
    if args.preset not in (DEFAULT_PRESET, "demo"):
        given.insert(0, "preset")
    if given:
        flag = given[0].replace("_", "-")
        raise RequestError(f"--{flag} has no effect without pictures: creatures are drawn for the demo's own models")
    modes = args.modes or WORLD_MODES
    if Mode.CAPTION in modes:
        raise RequestError("mode caption has no phrases to judge: name another, or give pictures")
    return modes


def _prompts(rows: Sequence[CreatureRow]) -> Table:
    return Table(
        "Prompts of creatures",
        ["mode", "banks", "caption", "pictures", *FIGURES],
        [
            [row.mode, row.banks, "own" if row.caption else "none", str(row.pictures)]
            + [shown(each, 1 if name == "tokens" else 3) for name, each in row.figures.items()]
            for row in rows
        ],
        [
            ("banks", "the demo's own, or all others beside them, whose words the demo's encoder was never taught"),
            ("share of true phrases", "a phrase of other banks is false unless it says what one of the demo's says"),
            ("facts stated", "of kind, colour, feature, background, medium, and a texture or style of it"),
            ("pictures", "none was trained on; every second is of a combination that was held out of training"),
            ("(a–b)", "95 % interval by bootstrap over the pictures"),
        ],
    )


def _claims(row: ClaimRow) -> Table:
    return Table(
        "One wrong attribute in a true caption",
        ["claims", "held unsupported"],
        [["the wrong one", shown(row.found)], ["true ones", shown(row.suspected)]],
        [("(a–b)", "95 % interval by bootstrap over the claims")],
    )


def _embeddings(rows: Sequence[PlantedRow]) -> Table:
    return Table(
        "F1 of the first phrases, planted embeddings",
        ["hubs", "by evidence", "by similarity"],
        [[f"{row.hubs:g}", shown(row.evidence), shown(row.similarity)] for row in rows],
        [("hubs", "how far texts are pulled towards all images, on average: 0 is not at all")],
    )
