"""Options that several commands share. Each is defined here once, so that it means one thing everywhere."""

from __future__ import annotations

import argparse
from collections.abc import Mapping
from enum import Enum
from pathlib import Path
from typing import Protocol, TypeVar

from ..banks import ARTISTS
from ..captioners import DEFAULT_OPTIONS, LARGEST_PIXELS, NAMED_PROMPTS
from ..catalog import DEFAULT_PRESET, PRESETS, Preset
from ..dtypes import DTYPE_NAMES
from ..modes import MIN_PHRASES, MODE_NAMES, MODES, STRICTNESS, Mode

Choice = TypeVar("Choice", bound=Enum)


class _HasHelp(Protocol):
    @property
    def help(self) -> str: ...


def listing(title: str, rows: Mapping[str, str]) -> str:
    """Names and what they do, for the end of a help page."""
    width = max(map(len, rows))
    return "\n".join([f"{title}:", *(f"  {name:{width}}  {text}" for name, text in rows.items())])


def help_of(table: Mapping[Choice, _HasHelp]) -> dict[str, str]:
    """The help of each row of a table of choices."""
    return {key.value: row.help for key, row in table.items()}


def preset_help() -> dict[str, str]:
    """What each preset is for."""
    return {row.name: row.use for row in PRESETS}


def add_images(parser: argparse.ArgumentParser) -> None:
    """The IMAGE arguments."""
    parser.add_argument(
        "images", nargs="+", metavar="IMAGE",
        help="image file, folder (all pictures in it), pattern such as '*.png', or - for standard input",
    )  # fmt: skip


def add_caption_beside(parser: argparse.ArgumentParser, purpose: str) -> None:
    """--caption, for commands that take the captions that there are."""
    parser.add_argument(
        "--caption", metavar="TEXT",
        help=f"{purpose} (default: the .txt beside it, or its row in metadata.jsonl, .csv …)",
    )  # fmt: skip


def add_json(parser: argparse.ArgumentParser) -> None:
    """--json."""
    parser.add_argument("--json", action="store_true", help="print one JSON object per line")


def add_mode(parser: argparse._ActionsContainer, default: Mode | None) -> None:
    """--mode. default: None is that of the preset."""
    shown = default.value if default else _modes_of_presets()
    parser.add_argument(
        "--mode", choices=MODE_NAMES, default=default.value if default else None, metavar="MODE",
        help=f"how to make the prompt; modes are listed below (default: {shown})",
    )  # fmt: skip


def _modes_of_presets() -> str:
    """The mode of most presets, and which have another."""
    usual = Preset.mode
    presets: dict[str, list[str]] = {usual: []}
    for row in PRESETS:
        presets.setdefault(row.mode, []).append(row.name)
    others = (f"{mode} with preset {' or '.join(presets[mode])}" for mode in [*presets][1:])
    return "; ".join([usual, *others])


def add_search_options(parser: argparse.ArgumentParser) -> None:
    """Options of the modes that take phrases; without a default, so that one that a mode lacks can be refused."""
    group = parser.add_argument_group("phrases of a prompt")
    chain = f"modes {_modes('min_phrases')}"
    group.add_argument(
        "--min-phrases", type=int, metavar="N",
        help=f"allow the first N phrases to lower similarity (default: {MIN_PHRASES}); {chain}",
    )  # fmt: skip
    most = ", ".join(f"{mode.value} {traits.phrases}" for mode, traits in MODES.items() if traits.phrases)
    group.add_argument("--max-phrases", type=int, metavar="N", help=f"add at most N phrases (default: {most})")
    group.add_argument(
        "--beams", type=int, metavar="N", help=f"grow N prompts side by side (default: 1); modes {_modes('beams')}"
    )
    group.add_argument(
        "--avoid-repeats", action="store_true", default=None, help="skip phrases whose words are all in the prompt"
    )
    group.add_argument(
        "--min-angle", type=float, metavar="DEGREES",
        help="skip phrases closer in meaning than this to one in the prompt (default: 0, off)",
    )  # fmt: skip
    group.add_argument(
        "--strictness", type=float, metavar="X",
        help="share of the accepted phrases that may be false, of which a prompt states the likeliest "
        f"(default: {STRICTNESS}); mode {_modes('strictness')}",
    )  # fmt: skip
    add_escape(group)


def add_strictness(parser: argparse.ArgumentParser) -> None:
    """--strictness of the commands that list phrases by evidence."""
    parser.add_argument(
        "--strictness", type=float, default=STRICTNESS, metavar="X",
        help=f"share of the accepted phrases that may be false (default: {STRICTNESS})",
    )  # fmt: skip


def add_escape(group: argparse._ActionsContainer) -> None:
    """--escape."""
    group.add_argument("--escape", action="store_true", help="escape brackets, which image generators read as weights")


def _modes(option: str) -> str:
    return ", ".join(mode.value for mode, traits in MODES.items() if option in traits.options)


def add_caption_options(group: argparse._ActionsContainer) -> None:
    """How captions are written, and what is taken out of them."""
    group.add_argument(
        "--max-caption-tokens", type=int, metavar="N",
        help="limit captions to N tokens (default: the model's own; 32 for BLIP)",
    )  # fmt: skip
    group.add_argument(
        "--ask", default="", metavar="TEXT",
        help=f"question or instruction for the captioner, or one of {', '.join(NAMED_PROMPTS)}",
    )  # fmt: skip
    group.add_argument(
        "--max-pixels", type=int, default=DEFAULT_OPTIONS.max_pixels, metavar="N",
        help="shrink pictures to N pixels for captioners that read any size (default: "
        f"{DEFAULT_OPTIONS.max_pixels}, at most {LARGEST_PIXELS})",
    )  # fmt: skip
    group.add_argument("--system", default="", metavar="TEXT", help="system prompt for the captioner")
    group.add_argument(
        "--temperature", type=float, default=0.0, metavar="X",
        help="sample captions, more freely the higher X is (default: 0, take the likeliest words)",
    )  # fmt: skip
    group.add_argument(
        "--top-p", type=float, default=DEFAULT_OPTIONS.top_p, metavar="X",
        help=f"sample from the likeliest words that make up probability X (default: {DEFAULT_OPTIONS.top_p})",
    )  # fmt: skip
    group.add_argument(
        "--seed", type=int, default=0, metavar="N", help="seed of sampled captions; another gives others (default: 0)"
    )
    group.add_argument("--caption-prefix", default="", metavar="TEXT", help="make captions continue this text")
    group.add_argument(
        "--repetition-penalty",
        type=float,
        default=1.0,
        metavar="X",
        help="discourage repeated words if above 1 (default: 1)",
    )
    group.add_argument(
        "--strip", action="append", default=[], metavar="WORDS", help="remove WORDS from captions; repeatable"
    )
    group.add_argument("--strip-list", type=Path, metavar="FILE", help="remove the words in FILE, one entry per line")


def add_preset(group: argparse._ActionsContainer) -> None:
    """--preset."""
    names = ", ".join(row.name for row in PRESETS)
    group.add_argument(
        "--preset", default=DEFAULT_PRESET, metavar="NAME",
        help=f"models and banks that go together: {names} (default: {DEFAULT_PRESET})",
    )  # fmt: skip


def add_model(
    group: argparse._ActionsContainer, name: str, purpose: str, *, required: bool = False, note: str = ""
) -> None:
    """The option that names a model for a purpose."""
    group.add_argument(
        f"--{name}", metavar="MODEL", required=required, help=f"{purpose}: name, folder, or hub id{note}"
    )


def add_encoder_and_banks(parser: argparse.ArgumentParser) -> None:
    """What the commands take that compare images with phrases, and the list of presets at the end of their help."""
    models = parser.add_argument_group("models")
    add_preset(models)
    add_encoder(models)
    add_loading_options(models)
    add_cache_dir(models)
    add_bank_options(parser)
    parser.epilog = listing("presets", preset_help())


def add_captioner(group: argparse._ActionsContainer, note: str = "") -> None:
    """--captioner and --captioner-model."""
    group.add_argument(
        "--captioner", metavar="MODEL",
        help=f"model that writes captions: name, folder, hub id, or the address of a server{note}",
    )  # fmt: skip
    group.add_argument(
        "--captioner-model", metavar="NAME", help="model to use on the server that --captioner is the address of"
    )


def add_encoder(group: argparse._ActionsContainer) -> None:
    """--encoder and --checkpoint."""
    add_model(group, "encoder", "model that compares images with phrases")
    group.add_argument(
        "--checkpoint", type=Path, metavar="FILE", help="weights of an encoder that --encoder names by architecture"
    )


def add_loading_options(group: argparse._ActionsContainer) -> None:
    """Where and in what models run, and whether they may be downloaded."""
    group.add_argument("--device", default="auto", metavar="D", help="auto, cpu, cuda, cuda:1, mps … (default: auto)")
    group.add_argument("--dtype", default="auto", metavar="T", help=f"{', '.join(DTYPE_NAMES)} (default: auto)")
    group.add_argument("--download", action="store_true", help="download missing model files from the Hugging Face hub")


def add_cache_dir(group: argparse._ActionsContainer) -> None:
    """--cache-dir."""
    group.add_argument(
        "--cache-dir", type=Path, metavar="DIR", help="folder for phrase embeddings (default: your user cache)"
    )


def add_references(group: argparse._ActionsContainer) -> None:
    """--no-references."""
    group.add_argument(
        "--no-references", dest="references", action="store_false", default=None,
        help="keep no embeddings of the images and of what their captions claim, by which an encoder is calibrated",
    )  # fmt: skip


def add_bank_options(parser: argparse.ArgumentParser) -> None:
    """Which phrases there are to choose from."""
    group = parser.add_argument_group("phrase banks")
    group.add_argument(
        "--bank", action="append", metavar="NAME|FILE",
        help="use this bank, list, or folder of lists instead of the preset's; repeatable",
    )  # fmt: skip
    group.add_argument("--no-bank", action="append", default=[], metavar="NAME", help="skip this bank; repeatable")
    group.add_argument(
        "--block", action="append", default=[], metavar="WORDS", help="skip phrases that contain WORDS; repeatable"
    )
    group.add_argument("--block-list", type=Path, metavar="FILE", help="skip phrases that contain an entry of FILE")
    group.add_argument(
        "--quota", action="append", default=[], type=_quota, metavar="NAME=N",
        help="take at most N phrases from this bank; repeatable",
    )  # fmt: skip
    add_artists(group)


def add_artists(group: argparse._ActionsContainer) -> None:
    """--artists."""
    group.add_argument(
        "--artists", choices=ARTISTS, default=ARTISTS[0],
        help=f"which artists may be named; long_dead: dead for at least 70 years (default: {ARTISTS[0]})",
    )  # fmt: skip


def _quota(text: str) -> tuple[str, int]:
    name, equals, number = text.rpartition("=")
    if not equals or not name or not number.isdecimal():
        raise argparse.ArgumentTypeError(f"expected NAME=N, not {text!r}")
    return name, int(number)


def epilog(*listings: str) -> str:
    """The end of a help page."""
    return "\n\n".join(listings)


def add_separator(group: argparse._ArgumentGroup, purpose: str) -> None:
    """--separator. purpose: what it stands between."""
    group.add_argument(
        "--separator", type=_typed, default=", ", metavar="TEXT",
        help=rf"{purpose}; \n is a line feed, \t a tab (default: ', ')",
    )  # fmt: skip


def _typed(text: str) -> str:
    r"""What somebody means who types \n or \t into a shell, which leaves them as they are."""
    return text.replace(r"\n", "\n").replace(r"\t", "\t")
