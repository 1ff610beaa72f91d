"""The options of `interrogator caption` and `interrogator edit` that say how captions are written."""

from __future__ import annotations

import argparse

from ..dataset import TargetOptions
from ..dataset_choices import PATH_STYLES


def add_target_options(group: argparse._ArgumentGroup) -> None:
    """All of them."""
    images = group.add_mutually_exclusive_group()
    images.add_argument(
        "--copy-images", dest="images", action="store_const", const="copy",
        help="copy the pictures to --out as well, also those in tars and tables, so that it loads by itself",
    )  # fmt: skip
    images.add_argument(
        "--link-images", dest="images", action="store_const", const="link",
        help="the same with links to the pictures, which take no room",
    )  # fmt: skip
    group.add_argument(
        "--paths", choices=PATH_STYLES, default=PATH_STYLES[0], metavar="STYLE",
        help="what tables call pictures: relative to the table, absolute, or key, as the source calls them, for "
        f"programs of your own (default: {PATH_STYLES[0]})",
    )  # fmt: skip
    group.add_argument(
        "--name-column", default="", metavar="NAME",
        help="column for names of pictures in jsonl and csv, such as image for DiffSynth (default: file_name)",
    )  # fmt: skip


def target_options(args: argparse.Namespace) -> TargetOptions:
    """What the options come to."""
    return TargetOptions(args.paths, args.name_column, args.images)
