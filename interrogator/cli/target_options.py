"""The options of `interrogator caption` and `interrogator edit` that say how captions are written."""

from __future__ import annotations

import argparse
from dataclasses import replace
from itertools import islice

from ..dataset import TRAINERS, Run, TargetOptions, written_for
from ..dataset.targets.trainers import Written, form_of
from ..dataset_choices import PATH_STYLES
from .terminal import say

_LOOKED_AT = 10_000  # pictures, for folders


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
        "--for-trainer", choices=tuple(TRAINERS), metavar="TRAINER", dest="trainer",
        help=f"write what this trainer reads: {', '.join(TRAINERS)}; docs/trainers.md says what that is",
    )  # fmt: skip
    group.add_argument(
        "--no-final-newline", dest="final_newline", action="store_false",
        help="end .txt and .caption files without a line feed",
    )  # fmt: skip
    group.add_argument(
        "--paths", choices=PATH_STYLES, metavar="STYLE",
        help="what tables call pictures: relative to the table, absolute, or key, as the source calls them, for "
        f"programs of your own (default: {PATH_STYLES[0]})",
    )  # fmt: skip
    group.add_argument(
        "--name-column", default="", metavar="NAME",
        help="column for names of pictures in jsonl and csv, such as image for DiffSynth (default: file_name)",
    )  # fmt: skip
    group.add_argument(
        "--repack", action="store_true",
        help="write webdataset tars with pictures and captions, not with captions beside those of the pictures",
    )  # fmt: skip
    group.add_argument(
        "--tar-size", type=int, default=10_000, metavar="N", help="pictures in a tar with --repack (default: 10000)"
    )


def written(args: argparse.Namespace, several: bool = False) -> Written:
    """What the options come to.

    Args:
        several: whether each picture gets several captions.

    Raises RequestError: they do not go together, or the trainer does not read that.
    """
    if args.trainer is None:
        options = TargetOptions(args.paths or PATH_STYLES[0], args.name_column, args.images)
        found = Written(args.target, args.column, options)
    else:
        found = written_for(
            args.trainer, args.target, args.column, paths=args.paths, name_column=args.name_column, images=args.images,
            several=several,
        )  # fmt: skip
    final_newline = found.options.final_newline and args.final_newline
    options = replace(found.options, final_newline=final_newline, repack=args.repack, tar_size=args.tar_size)
    return found._replace(options=options)


def warn_of_lines(args: argparse.Namespace) -> None:
    """Say who reads the lines of a caption file how, where a run writes several and nobody said for whom."""
    if args.several > 1 and args.trainer is None and args.target in (None, "txt", "caption"):
        forms = {name: trainer.reads.get("txt") for name, trainer in TRAINERS.items()}
        picking = [name for name, form in forms.items() if form is not None and form.several]
        joining = [name for name, form in forms.items() if form is not None and not form.several]
        say(
            f"each caption file gets {args.several} lines: {', '.join(picking)} pick one each time, but "
            f"{', '.join(joining)} take them all for one caption; --for-trainer writes what yours reads"
        )


def tell_setting(run: Run) -> None:
    """Say what the trainer has to be told, if a run is for one."""
    form = form_of(run.options.trainer, run.target.kind)
    if form is None:
        return
    trainer, edit = TRAINERS[run.options.trainer], run.settings.edit
    several = run.settings.captions_per_image > 1 or edit is not None and edit.several
    settings = [each for each in (form.setting, form.several_setting if several else "") if each]
    if settings:
        say(f"{trainer.title} reads this with {'; '.join(settings)}")
    if not trainer.folders and any("/" in item.key for item in islice(run.items(), _LOOKED_AT)):
        say(f"{trainer.title} reads no folders inside a folder: name each as a dataset of its own")
