"""`interrogator prompt` and `interrogator rank`."""

from __future__ import annotations

import argparse
import os
import sys
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import redirect_stdout
from dataclasses import asdict
from typing import Any, TypeVar

from PIL import Image

from ..banks import PhraseBank, load_banks, load_block_list
from ..captioners import DEFAULT_OPTIONS, DEFAULT_STRIP, CaptionOptions, load_strip_list
from ..catalog import preset as find_preset
from ..errors import ImageReadError, InterrogatorError, ModelNotFoundError, RequestError
from ..images import open_image
from ..modes import Mode
from ..pipeline import Interrogation, Interrogator, load
from ..pipeline.loader import NONE
from ..pipeline.prompt_builder import SearchOptions
from .terminal import Bar, ask, put, put_json, say

T = TypeVar("T")

# Images captioned and embedded together; `best` takes so long for each that none should wait for its neighbours.
_GROUP = {"best": 1}
_DEFAULT_GROUP = 8


def prompt(args: argparse.Namespace) -> int:
    """Write a prompt for each image; an image that cannot be read is named and the rest goes on."""
    # A number out of range shows before a model takes its time.
    SearchOptions.of(Mode.of(args.mode), **_search_options(args))
    if not any(map(os.path.exists, args.images)):
        # Nothing to wait for the models for.
        return 1 if _prompt_group(args, None, args.images) else 0
    wordless = args.caption is not None or args.mode == "negative"
    ci = _load(
        args,
        captioner=NONE if wordless else args.captioner,
        encoder=NONE if args.mode == "caption" and not args.encoder else args.encoder,
    )
    if args.mode != "caption":
        _prepare(ci)
    failed = 0
    for group in _groups(args.images, _GROUP.get(args.mode, _DEFAULT_GROUP)):
        failed += _prompt_group(args, ci, group)
    if failed and len(args.images) > 1:
        say(f"{failed} of {len(args.images)} images failed")
    return 1 if failed else 0


def _prompt_group(args: argparse.Namespace, ci: Interrogator | None, paths: Sequence[str]) -> int:
    """Prompts for some images, in their order; returns how many failed."""
    opened: dict[int, Image.Image] = {}
    errors: dict[int, InterrogatorError] = {}
    for place, path in enumerate(paths):
        try:
            opened[place] = open_image(path)
        except ImageReadError as error:
            errors[place] = error
    results: dict[int, Interrogation] = {}
    if ci and opened:
        label = os.path.basename(paths[min(opened)]) + (f" +{len(opened) - 1}" if len(opened) > 1 else "")
        with Bar(label) as bar:
            answers = ci.interrogate_many(
                list(opened.values()), args.mode, args.caption, progress=bar, **_search_options(args)
            )
        results = dict(zip(opened, answers, strict=True))
    for place, path in enumerate(paths):
        if place in errors:
            _fail(args, path, errors[place])
        elif args.json:
            result = results[place]
            put_json({"image": path, **result.as_dict(), "prompt": _words(args, result)})
        else:
            # A single image gives the bare prompt; several give a table.
            put(("" if len(args.images) == 1 else f"{path}\t") + _words(args, results[place]))
    return len(errors)


def rank(args: argparse.Namespace) -> int:
    """List the phrases most like an image: similarity, bank and phrase."""
    if args.top < 1:
        raise RequestError("--top must be at least 1")
    try:
        image = open_image(args.image)
    except ImageReadError as error:
        _fail(args, args.image, error)
        return 1
    ci = _load(args, captioner=NONE, encoder=args.encoder)
    _prepare(ci)
    for phrase in ci.rank(image, top=args.top):
        if args.json:
            put_json({"image": args.image, **asdict(phrase)})
        else:
            put(f"{phrase.similarity:.4f}\t{phrase.bank}\t{phrase.text}")
    return 0


def _fail(args: argparse.Namespace, path: str, error: InterrogatorError) -> None:
    say(f"interrogator: {error}")
    if args.json:
        put_json({"image": path, "error": str(error)})


def _words(args: argparse.Namespace, result: Interrogation) -> str:
    return result.escaped_prompt if args.escape else result.prompt


def _load(args: argparse.Namespace, captioner: str | None, encoder: str | None) -> Interrogator:
    """Load what the options name. Lists are read first: a mistyped bank shows before a model takes its time."""
    banks = chosen_banks(args)
    options = _caption_options(args) if hasattr(args, "caption_beams") else DEFAULT_OPTIONS
    return with_consent(
        args,
        lambda download, bar: load(
            args.preset, captioner=captioner, encoder=encoder, banks=banks, device=args.device, dtype=args.dtype,
            cache_dir=args.cache_dir, download=download, progress=bar, checkpoint=args.checkpoint,
            caption_options=options,
        ),
    )  # fmt: skip


def _search_options(args: argparse.Namespace) -> dict[str, Any]:
    names = ("min_phrases", "max_phrases", "beams", "avoid_repeats", "min_angle")
    return {name: getattr(args, name) for name in names}


def _caption_options(args: argparse.Namespace) -> CaptionOptions:
    return CaptionOptions(
        max_new_tokens=args.max_caption_tokens,
        num_beams=args.caption_beams,
        repetition_penalty=args.repetition_penalty,
        no_repeat_ngram_size=args.no_repeat_ngram,
        prefix=args.caption_prefix,
        strip=tuple(load_strip_list(args.strip)) if args.strip else DEFAULT_STRIP,
    )


def chosen_banks(args: argparse.Namespace) -> list[PhraseBank]:
    """The banks that the options switch on, filtered."""
    block = [*args.block, *(load_block_list(args.block_list) if args.block_list else ())]
    names = args.bank or find_preset(args.preset).banks
    return load_banks(names, block, dict(args.quota), args.artists, args.no_bank)


def with_consent(args: argparse.Namespace, loading: Callable[[bool, Bar], T]) -> T:
    """Run `loading(download, progress)`; where files are missing, offer the download to a person at the terminal."""
    if sys.stderr.isatty():
        say("loading models …")
    started = time.monotonic()
    with Bar("downloading", in_bytes=True) as bar, redirect_stdout(None):  # libraries may print while they load
        try:
            loaded = loading(args.download, bar)
        except ModelNotFoundError as error:
            if args.download or not ask(f"{error}\nDownload it now?"):
                raise
            loaded = loading(True, bar)
    seconds = time.monotonic() - started
    if seconds > 5:
        say(f"models loaded in {seconds:.0f} s")
    return loaded


def _prepare(ci: Interrogator) -> None:
    """Open or make the table of phrase embeddings, with a bar of its own."""
    dtype = str(ci.encoder.dtype).removeprefix("torch.")
    say(f"device {ci.encoder.device} {dtype}, encoder {ci.encoder.name}, {sum(map(len, ci.banks))} phrases")
    with Bar("embedding phrases", unit="phrase") as bar:
        ci.table(bar)


def _groups(paths: Sequence[str], size: int) -> Iterator[Sequence[str]]:
    for start in range(0, len(paths), size):
        yield paths[start : start + size]
