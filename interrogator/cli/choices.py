"""What the options of a command come to: banks, words to strip, and a refusal of options that would do nothing."""

from __future__ import annotations

import argparse
from collections.abc import Collection
from typing import Any

from ..banks import PhraseBank, load_banks, load_block_list
from ..captioners import DEFAULT_OPTIONS, load_strip_list
from ..catalog import preset as find_preset
from ..errors import RequestError
from ..modes import MODES, Mode

SEARCH_OPTIONS = ("min_phrases", "max_phrases", "beams", "avoid_repeats", "min_angle", "strictness")
"""Options of a search; which of them a mode has, `MODES` says."""

_MODEL_OPTIONS = {
    "captioner": "captioner", "tagger": "tagger", "encoder": "encoder", "checkpoint": "encoder", "matcher": "matcher",
    "second_encoder": "reranker",
}  # fmt: skip
"""By option: the role whose model it names."""

_CAPTION_OPTIONS = {
    "ask": "", "system": "", "temperature": DEFAULT_OPTIONS.temperature, "top_p": DEFAULT_OPTIONS.top_p,
    "caption_prefix": "", "max_caption_tokens": None,
}  # fmt: skip
"""Options of how captions are written, with what they are where nobody gives them."""


def search_options(args: argparse.Namespace, others: Collection[str] = ()) -> dict[str, Any]:
    """The search options that were given.

    others: options that mean something whatever the mode.

    Raises:
        RequestError: the mode has no such option.
    """
    mode = Mode.of(args.mode)
    given = {name: getattr(args, name) for name in SEARCH_OPTIONS if getattr(args, name) is not None}
    for name in given:
        if name not in MODES[mode].options and name not in others:
            having = ", ".join(each.value for each in MODES if name in MODES[each].options)
            raise RequestError(f"mode {mode.value} has no {_flag(name)}; the modes that have it are {having}")
    return given


def check_model_options(args: argparse.Namespace, needs: Collection[str]) -> None:
    """Raises RequestError: an option names a model that would not be used."""
    for name, role in _MODEL_OPTIONS.items():
        if getattr(args, name, None) not in (None, "none") and role not in needs:
            what = "second encoder" if role == "reranker" else role
            raise RequestError(f"{_flag(name)} has no effect: with these options, no {what} is used")


def check_caption_options(args: argparse.Namespace, captions: bool) -> None:
    """Raises RequestError: an option for writing captions was given and has no effect.

    captions: whether captions are written.
    """
    given = [name for name, usual in _CAPTION_OPTIONS.items() if getattr(args, name) != usual]
    if given and not captions:
        raise RequestError(f"{_flag(given[0])} has no effect: with these options, no caption is written")
    if "top_p" in given and not args.temperature:
        raise RequestError("--top-p has no effect without --temperature")


def captioner_name(args: argparse.Namespace) -> str | None:
    """The captioner that the options name; a model on a server stands behind its address: `http://…/v1#model`.

    Raises RequestError: a model on a server, but no server.
    """
    name: str | None = args.captioner
    if args.captioner_model is None:
        return name
    if name is None or not name.startswith(("http://", "https://")):
        raise RequestError("--captioner-model names a model on a server: give the server's address with --captioner")
    address, _, model = name.partition("#")
    if model not in ("", args.captioner_model):
        raise RequestError(f"--captioner names model {model} and --captioner-model {args.captioner_model}: name one")
    return f"{address}#{args.captioner_model}"


def chosen_banks(args: argparse.Namespace) -> list[PhraseBank]:
    """The banks that the options switch on, filtered."""
    names = args.bank or find_preset(args.preset).banks
    return load_banks(names, blocked_phrases(args), dict(args.quota), args.artists, args.no_bank)


def blocked_phrases(args: argparse.Namespace) -> list[str]:
    """The words of `--block` and `--block-list`."""
    return [*args.block, *(load_block_list(args.block_list) if args.block_list else ())]


def stripped_words(args: argparse.Namespace) -> tuple[str, ...]:
    """The words of `--strip` and `--strip-list`."""
    return (*args.strip, *(load_strip_list(args.strip_list) if args.strip_list else ()))


def _flag(name: str) -> str:
    return f"--{name.replace('_', '-')}"
