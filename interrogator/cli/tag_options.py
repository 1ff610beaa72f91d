"""The options that say which tags hold and how they read, and the rules that they come to."""

from __future__ import annotations

import argparse
from collections.abc import Collection
from typing import Any

from ..catalog import PRESETS
from ..catalog import preset as find_preset
from ..errors import RequestError
from ..taggers import CHARACTER_THRESHOLD, LABELS, THRESHOLD, TagRules

_FLAGS = {
    "threshold": "--threshold", "character_threshold": "--character-threshold",
    "category_thresholds": "--category-threshold", "mcut": "--mcut", "max_tags": "--max-tags",
    "categories": "--category", "ratings": "--ratings", "blocked_tags": "--block-tag",
    "keep_underscores": "--keep-underscores", "character_first": "--no-character-first",
}  # fmt: skip
"""By argument: its option. All but the blocked tags are fields of `TagRules`; brackets have `--escape`."""


def add_tag_options(parser: argparse.ArgumentParser) -> None:
    """All of them; without a default, so that one without effect can be refused."""
    group = parser.add_argument_group("tags")
    group.add_argument(
        "--threshold", type=float, metavar="X",
        help=f"keep tags more probable than X (default: the tagger's own, or {THRESHOLD})",
    )  # fmt: skip
    group.add_argument(
        "--character-threshold", type=float, metavar="X",
        help=f"the same for names of characters (default: the tagger's own, or {CHARACTER_THRESHOLD})",
    )  # fmt: skip
    group.add_argument(
        "--category-threshold", dest="category_thresholds", action="append", type=_category_threshold,
        metavar="NAME=X", help="the same for the tags of one category; repeatable",
    )  # fmt: skip
    group.add_argument(
        "--mcut", action="store_true", default=None,
        help="find the threshold of each category in the picture: the widest gap between its probabilities",
    )  # fmt: skip
    group.add_argument("--max-tags", type=int, metavar="N", help="keep at most N tags, the most probable")
    group.add_argument(
        "--category", dest="categories", action="append", metavar="NAME",
        help=f"keep only tags of this category; repeatable (default: all but {', '.join(sorted(LABELS))})",
    )  # fmt: skip
    group.add_argument(
        "--ratings", action="store_true", default=None, help="add the most probable rating, and quality if there is one"
    )
    group.add_argument(
        "--block-tag", dest="blocked_tags", action="append", metavar="PATTERN",
        help="leave out these tags; * stands for any text, as in '*_hair'; repeatable",
    )  # fmt: skip
    group.add_argument(
        "--keep-underscores", action="store_true", default=None,
        help="write long_hair; without this option, tags have spaces: long hair",
    )  # fmt: skip
    group.add_argument(
        "--no-character-first", dest="character_first", action="store_false", default=None,
        help="put the most probable tag first; without this option, characters and their series come first",
    )  # fmt: skip


def tag_rules(args: argparse.Namespace) -> TagRules:
    """The rules that the options come to.

    Raises:
        RequestError: a number is out of range, or a pattern is empty.
    """
    given: dict[str, Any] = {name: getattr(args, name) for name in _FLAGS if getattr(args, name) is not None}
    for name in ("threshold", "character_threshold"):
        _check_probability(_FLAGS[name], given.get(name, 0.0))
    for category, value in given.get("category_thresholds", ()):
        _check_probability(f"--category-threshold {category}", value)
    if given.get("max_tags", 1) < 1:
        raise RequestError(f"--max-tags must be at least 1, not {given['max_tags']}")
    if "category_thresholds" in given:
        given["category_thresholds"] = dict(given["category_thresholds"])
    return TagRules(block=given.pop("blocked_tags", ()), **given)


def check_tag_options(args: argparse.Namespace, needs: Collection[str]) -> None:
    """Raises RequestError: an option is about tags, and no tagger is used."""
    for name, flag in _FLAGS.items():
        if getattr(args, name) is not None and "tagger" not in needs:
            raise RequestError(f"{flag} has no effect: with these options, no tagger is used")


def tagger_name(args: argparse.Namespace, what: str) -> str:
    """The tagger that `--tagger` names, or that of the preset.

    Args:
        what: that needs the tagger.

    Raises:
        RequestError: the preset has none.
    """
    name: str | None = args.tagger or find_preset(args.preset).tagger
    if name:
        return name
    having = [row.name for row in PRESETS if row.tagger]
    other = f", or choose a preset that has one: {', '.join(having)}" if having else ""
    raise RequestError(f"{what} needs a tagger, and preset {args.preset} has none: name one with --tagger{other}")


def _check_probability(flag: str, value: float) -> None:
    if not 0 <= value <= 1:
        raise RequestError(f"{flag} must be a probability from 0 to 1, not {value}")


def _category_threshold(text: str) -> tuple[str, float]:
    name, equals, number = text.rpartition("=")
    try:
        if name and equals:
            return name, float(number)
    except ValueError:
        pass
    raise argparse.ArgumentTypeError(f"expected NAME=X, such as copyright=0.6, not {text!r}")
