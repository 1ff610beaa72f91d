"""The options of `interrogator caption`."""

from __future__ import annotations

import argparse
from pathlib import Path

from ..dataset_choices import LINES, POLICIES, SOURCE_KINDS, TARGET_KINDS
from ..modes import MODES, Mode
from ..qualities import QUALITIES, QUALITY_NAMES, Quality
from . import options, text_options
from .replacements import add_replacement
from .selection_options import add_selection
from .tag_options import add_tag_options
from .target_options import add_target_options


def add_options(parser: argparse.ArgumentParser) -> None:
    """All of them."""
    parser.add_argument(
        "sources", nargs="*", metavar="SOURCE", help="folder, tar, parquet file, or list of paths; local or URL"
    )
    _add_targets(parser)
    options.add_json(parser)
    add_selection(parser)
    _add_captions(parser.add_argument_group("captions"))
    _add_running(parser.add_argument_group("running"))
    _add_text(parser.add_argument_group("text"))
    text_options.add_options(parser, "write texts as this image model reads them")
    add_tag_options(parser)
    options.add_search_options(parser)
    models = parser.add_argument_group("models")
    options.add_preset(models)
    options.add_captioner(models)
    options.add_model(models, "tagger", "model that finds tags; its tags are recorded whether or not captions use them")
    options.add_encoder(models)
    options.add_model(models, "second-encoder", f"model that picks last in quality {Quality.LAION_COCO.value}")
    options.add_model(models, "matcher", f"model that checks captions in quality {Quality.CAPFILT.value}")
    options.add_loading_options(models)
    options.add_cache_dir(models)
    options.add_references(models)
    options.add_bank_options(parser)
    parser.epilog = options.epilog(
        options.listing("modes", options.help_of(MODES)), options.listing("qualities", options.help_of(QUALITIES)),
        options.listing("presets", options.preset_help()),
        options.listing("image models", text_options.image_model_help()),
    )  # fmt: skip


def _add_targets(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("--out", metavar="DIR", help="folder for the captions (default: beside the pictures)")
    parser.add_argument(
        "--target", choices=TARGET_KINDS, metavar="KIND",
        help=f"what to write: {', '.join(TARGET_KINDS)} (default: {TARGET_KINDS[0]}, or what --for-trainer reads)",
    )  # fmt: skip
    parser.add_argument("--column", metavar="NAME", help="column for captions in a table (default: text)")
    parser.add_argument(
        "--kind", choices=SOURCE_KINDS, metavar="KIND",
        help=f"what the sources are: {', '.join(SOURCE_KINDS)} (default: detected)",
    )  # fmt: skip
    add_target_options(parser.add_argument_group("what is written"))


def _add_captions(group: argparse._ArgumentGroup) -> None:
    options.add_mode(group, Mode.CAPTION)
    group.add_argument(
        "--quality", choices=QUALITY_NAMES, default=Quality.GREEDY.value, metavar="QUALITY",
        help=f"how to make captions; qualities are listed below (default: {Quality.GREEDY.value})",
    )  # fmt: skip
    group.add_argument(
        "--samples", type=int, default=8, metavar="N",
        help=f"sample N captions per picture in quality {Quality.BEST_OF_N.value} (default: 8)",
    )  # fmt: skip
    group.add_argument("--several", type=int, default=1, metavar="N", help="keep the N best captions (default: 1)")
    group.add_argument("--score", action="store_true", help="record how similar each caption is to its picture")
    group.add_argument(
        "--check",
        action="store_true",
        help="report which claims of each caption its picture does not support, also of those that stay",
    )
    group.add_argument(
        "--drop-unsupported", action="store_true", help="leave those claims out of the captions; implies --check"
    )
    group.add_argument(
        "--overview", action="store_true", help="report what the pictures share and what each has of its own"
    )
    group.add_argument(
        "--masked", action="store_true",
        help="caption only what the mask of each picture shows: cat-masklabel.png, masks/cat.png, or transparency",
    )  # fmt: skip
    options.add_caption_options(group)


def _add_running(group: argparse._ArgumentGroup) -> None:
    group.add_argument(
        "--existing", choices=POLICIES, default=POLICIES[0], metavar="POLICY",
        help=f"what to do with captions that already exist: {', '.join(POLICIES)} (default: {POLICIES[0]})",
    )  # fmt: skip
    options.add_separator(group, "text between an existing caption and a new one")
    group.add_argument(
        "--lines", choices=LINES, default=LINES[0], metavar="WHAT",
        help="what the lines of an existing text are: all are captions of their own, only the first is the caption, "
        f"or they are one text: {', '.join(LINES)} (default: {LINES[0]})",
    )  # fmt: skip
    group.add_argument("--dry-run", action="store_true", help="say what would be done, and do nothing")
    group.add_argument(
        "--again", action="store_true",
        help="caption anew what a finished run of the same settings has captioned; with an undo of its own",
    )  # fmt: skip
    group.add_argument("--retry-failed", action="store_true", help="retry images that failed in an earlier run")
    group.add_argument(
        "--undo", type=Path, metavar="RUN", help="put captions back as they were before the run in this folder"
    )
    group.add_argument(
        "--threads", type=int, metavar="N", help="number of image-reading threads (default: one per processor)"
    )
    group.add_argument(
        "--shard-size", type=int, default=64, metavar="N",
        help="images per shard; a crash repeats at most one shard (default: 64)",
    )  # fmt: skip
    group.add_argument(
        "--engine", choices=("local", "ray"), default="local", help="run here or on Ray (default: local)"
    )
    group.add_argument(
        "--workers", type=int, metavar="N", help="number of worker processes (default: one per GPU, at least one)"
    )
    group.add_argument("--rank", type=int, metavar="N", help="rank of this process, if you start several yourself")
    group.add_argument("--world-size", type=int, metavar="N", help="number of processes, if you start several yourself")


def _add_text(group: argparse._ArgumentGroup) -> None:
    group.add_argument(
        "--trigger", default="", metavar="WORD",
        help="trigger word; put first unless the text has it; not for pictures in folders reg/",
    )  # fmt: skip
    group.add_argument(
        "--trigger-from-folder", action="store_true",
        help="the trigger is the name of each picture's folder, without the 10_ of repeats",
    )  # fmt: skip
    group.add_argument(
        "--triggers", metavar="FILE",
        help="a .csv or .json file of folders and their triggers; others have that of --trigger",
    )  # fmt: skip
    group.add_argument(
        "--template", default="{prompt}", metavar="TEXT",
        help="text with fields such as {prompt}, {caption}, {tags}, {trigger}, {mediums}, {existing}, {missing}, "
        "{common}, {distinctive} (default: {prompt})",
    )  # fmt: skip
    group.add_argument(
        "--missing", type=int, default=5, metavar="N",
        help="{missing} is at most N phrases that are true and that the other fields lack (default: 5)",
    )  # fmt: skip
    group.add_argument("--text-prefix", default="", metavar="TEXT", help="begin every text with this")
    group.add_argument("--text-suffix", default="", metavar="TEXT", help="end every text with this")
    add_replacement(group, "--replace", "OLD", "replace words; repeatable")
    add_replacement(group, "--replace-regex", "REGEX", "replace what a regular expression matches; repeatable")
    group.add_argument("--forbid", action="append", default=[], metavar="WORDS", help="never write WORDS; repeatable")
    group.add_argument(
        "--require", action="append", default=[], metavar="WORDS",
        help="prefer captions that contain WORDS; repeatable",
    )  # fmt: skip
    group.add_argument(
        "--token-limit", type=int, default=0, metavar="N", help="cut texts to N CLIP tokens (default: 0, no limit)"
    )
