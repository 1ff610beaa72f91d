"""The options that say which pictures of the sources are taken."""

from __future__ import annotations

import argparse

from ..dataset import Selection


def add_selection(parser: argparse.ArgumentParser) -> None:
    """--include, --exclude and --with-masks."""
    group = parser.add_argument_group("pictures")
    group.add_argument(
        "--include", action="append", default=[], metavar="GLOB",
        help="take only pictures whose path in the source matches GLOB: '*.png', 'cats/**'; repeatable",
    )  # fmt: skip
    group.add_argument(
        "--exclude", action="append", default=[], metavar="GLOB", help="leave out pictures that match GLOB; repeatable"
    )
    group.add_argument(
        "--with-masks", action="store_true", help="take masks and controls, such as masks/ and -masklabel, too"
    )


def selection(args: argparse.Namespace) -> Selection:
    """What the options come to. Raises RequestError: an empty pattern."""
    return Selection(tuple(args.include), tuple(args.exclude), args.with_masks)
