"""The options of `interrogator bench`, and what it measures."""

from __future__ import annotations

import argparse

from ..modes import MODES, Mode
from . import options

_MODES = (Mode.CAPTION, Mode.CLASSIC, Mode.FAST, Mode.BEST, Mode.PRECISE)
_FIRST = 5

_DESCRIPTION = """\
Measure prompts on pictures whose true prompts are known.

With pictures of ComfyUI or A1111 (PNG, JPEG, WebP), what the modes find of the prompts in
their metadata. Prompts are cut into phrases by the same rules, whoever wrote them; weights and
other syntax are left out. Pictures without a prompt are counted, and left out.

  said         share of the phrases of the true prompts that one phrase of the prompt has all
               words of
  found        share of them that are said, or meant: a phrase of the prompt is as close in
               meaning as only 1 of 100 pairs of phrases from different pictures' true prompts
               are that do not contain each other; by the second encoder if there is one
  by chance    found of the true prompt of another picture
  first K      share of the first K phrases of the prompts that the true prompts say or mean
  similarity   of picture and prompt, by the second encoder (--judge)
  seconds      a picture, models loaded and phrases embedded

Without pictures, how many phrases of prompts are true of creatures that are drawn for the
demo's models, with the demo's banks and with all banks; how many wrong words in captions are
found; and what evidence adds to similarity in planted embeddings. With all banks, mode best
takes seconds a picture and is measured only where --modes names it.

All figures come with 95 % intervals by bootstrap over the pictures."""


def add_options(parser: argparse.ArgumentParser) -> None:
    """All options of the command."""
    parser.description = _DESCRIPTION
    parser.add_argument(
        "images", nargs="*", metavar="FOLDER|IMAGE", help="generated pictures: folders, files, patterns"
    )
    parser.add_argument(
        "--modes", type=_modes, default=(), metavar="MODE,…",
        help="measure these modes, separated by commas (default: all that have models)",
    )  # fmt: skip
    options.add_model(parser, "judge", "second encoder, which compares prompts and has no part in them")
    parser.add_argument(
        "--first",
        type=int,
        default=_FIRST,
        metavar="K",
        help=f"phrases that are looked at first (default: {_FIRST})",
    )
    parser.add_argument(
        "--clip-interrogator", action="store_true",
        help="measure clip-interrogator as well, with our weights and captions and its own phrases; it embeds them the"
        " first time, for hours with a large encoder on a CPU",
    )  # fmt: skip
    parser.add_argument(
        "--pictures", type=int, metavar="N",
        help="measure the first N pictures with a prompt (default: all), or draw N creatures a seed (default: 60)",
    )  # fmt: skip
    parser.add_argument("--seeds", type=int, metavar="N", help="draw creatures of N seeds (default: 1)")
    parser.add_argument("--json", action="store_true", help="print one JSON object")
    parser.add_argument("--out", metavar="DIR", help="write a page with the figures and pictures to this folder")
    models = parser.add_argument_group("models")
    options.add_preset(models)
    options.add_captioner(models, "; none for no captions")
    options.add_encoder(models)
    options.add_loading_options(models)
    options.add_cache_dir(models)
    options.add_references(models)
    options.add_bank_options(parser)
    parser.epilog = options.epilog(
        options.listing("modes", options.help_of({mode: MODES[mode] for mode in _MODES})),
        options.listing("presets", options.preset_help()),
    )


def _modes(text: str) -> tuple[Mode, ...]:
    names = {mode.value: mode for mode in _MODES}
    found = tuple(dict.fromkeys(name.strip() for name in text.split(",")))
    for name in found:
        if name not in names:
            raise argparse.ArgumentTypeError(f"unknown mode {name!r}; choose from {', '.join(names)}")
    return tuple(names[name] for name in found)
