"""The commands and their help pages. Imports nothing heavy: `interrogator --help` answers at once."""

from __future__ import annotations

import argparse
from collections.abc import Callable
from importlib import import_module
from pathlib import Path
from typing import TypeAlias

from ..catalog import ROLES
from ..modes import MODES
from ..version import __version__
from . import bench_options, dataset_options, edit_options, options, text_options
from .tag_options import add_tag_options

Commands: TypeAlias = "argparse._SubParsersAction[argparse.ArgumentParser]"


def build_parser() -> argparse.ArgumentParser:
    """The parser; `args.run(args)` of what it returns runs the command and gives the exit status."""
    parser = argparse.ArgumentParser(
        prog="interrogator", description="Turn images into prompts, captions and tags.",
        epilog="Exit status: 0 success, 1 some inputs failed (each is named on stderr), 2 wrong usage.",
    )  # fmt: skip
    parser.add_argument("--version", action="version", version=f"interrogator {__version__}")
    commands = parser.add_subparsers(title="commands", required=True, metavar="COMMAND")
    for name, text, fill in (
        ("prompt", "write a prompt for each image", _prompt),
        ("caption", "caption a whole dataset", _caption),
        ("edit", "edit, merge, convert or count the captions of a dataset, without a model", _edit),
        ("rank", "list the phrases most like each image", _rank),
        ("tag", "list the tags of each image", _tag),
        ("check", "say which claims of a caption each image does not support", _check),
        ("complete", "list what each image shows and its caption lacks", _complete),
        ("common", "list what images share and what each has of its own", _common),
        ("calibrate", "learn from pictures with captions how sure mode precise can be", _calibrate),
        ("bench", "measure prompts on pictures whose true prompts are known", _bench),
        ("banks", "list, show or check phrase banks", _banks),
        ("cache", "manage the phrase embeddings on disk", _cache),
        ("models", "list known models and where their files are", _models),
        ("demo", "draw pictures and interrogate them with the built-in models", _demo),
    ):
        layout = argparse.RawDescriptionHelpFormatter
        fill(commands.add_parser(name, help=text, description=_sentence(text), formatter_class=layout))
    return parser


def _command(module: str, function: str) -> Callable[[argparse.Namespace], int]:
    """Imports a command's module when it runs, so that its dependencies do not delay the others."""

    def run(args: argparse.Namespace) -> int:
        return int(getattr(import_module(f".{module}", __package__), function)(args))

    return run


def _prompt(parser: argparse.ArgumentParser) -> None:
    options.add_images(parser)
    options.add_mode(parser, None)
    options.add_json(parser)
    caption = parser.add_argument_group("captions")
    caption.add_argument("--caption", metavar="TEXT", help="use this caption for every image; '' for none")
    caption.add_argument(
        "--caption-beams", type=int, default=1, metavar="N", help="search captions with N beams (default: 1, greedy)"
    )
    caption.add_argument(
        "--no-repeat-ngram", type=int, default=0, metavar="N", help="never repeat a sequence of N tokens"
    )
    options.add_caption_options(caption)
    caption.add_argument("--trigger", default="", metavar="WORD", help="word for {trigger} in --ask")
    options.add_search_options(parser)
    text_options.add_options(parser, "print the text for each text encoder of this image model, a line each")
    add_tag_options(parser)
    models = parser.add_argument_group("models")
    options.add_preset(models)
    options.add_captioner(models, "; none for no captions")
    options.add_model(
        models, "tagger", "model that finds tags; in every mode with --json, or --for a model that reads them"
    )
    options.add_encoder(models)
    options.add_loading_options(models)
    options.add_cache_dir(models)
    options.add_references(models)
    options.add_bank_options(parser)
    parser.epilog = options.epilog(
        options.listing("modes", options.help_of(MODES)), options.listing("presets", options.preset_help()),
        options.listing("image models", text_options.image_model_help()),
    )  # fmt: skip
    parser.set_defaults(run=_command("prompt", "prompt"))


def _caption(parser: argparse.ArgumentParser) -> None:
    dataset_options.add_options(parser)
    parser.set_defaults(run=_command("caption", "caption"))


def _edit(parser: argparse.ArgumentParser) -> None:
    edit_options.add_options(parser)
    parser.set_defaults(run=_command("edit", "edit"))


def _rank(parser: argparse.ArgumentParser) -> None:
    options.add_images(parser)
    parser.add_argument("--top", type=int, default=10, metavar="N", help="number of phrases per image (default: 10)")
    options.add_json(parser)
    options.add_encoder_and_banks(parser)
    parser.set_defaults(run=_command("rank", "rank"))


def _tag(parser: argparse.ArgumentParser) -> None:
    options.add_images(parser)
    options.add_json(parser)
    parser.add_argument(
        "--text", action="store_true", help="print the tags of each image on one line, separated by commas"
    )
    add_tag_options(parser)
    options.add_escape(parser)
    models = parser.add_argument_group("models")
    options.add_preset(models)
    options.add_model(models, "tagger", "model that finds tags", note="; default: the preset's, if it has one")
    options.add_loading_options(models)
    parser.epilog = options.listing("presets", options.preset_help())
    parser.set_defaults(run=_command("tag", "tag"))


def _check(parser: argparse.ArgumentParser) -> None:
    options.add_images(parser)
    options.add_caption_beside(parser, "check this caption on every image")
    options.add_json(parser)
    models = parser.add_argument_group("models")
    options.add_preset(models)
    options.add_encoder(models)
    options.add_model(models, "matcher", "model that says whether a text belongs to an image, as a second voice")
    options.add_loading_options(models)
    options.add_cache_dir(models)
    options.add_references(models)
    parser.epilog = options.listing("presets", options.preset_help())
    parser.set_defaults(run=_command("check", "check"))


def _complete(parser: argparse.ArgumentParser) -> None:
    options.add_images(parser)
    options.add_caption_beside(parser, "complete this caption of every image; '' lists all that an image shows")
    parser.add_argument("--top", type=int, default=10, metavar="N", help="at most N phrases per image (default: 10)")
    options.add_strictness(parser)
    parser.add_argument(
        "--text", action="store_true", help="print each caption with the phrases added, separated by commas"
    )
    options.add_json(parser)
    options.add_encoder_and_banks(parser)
    parser.set_defaults(run=_command("complete", "complete"))


def _common(parser: argparse.ArgumentParser) -> None:
    options.add_images(parser)
    parser.add_argument(
        "--top", type=int, default=10, metavar="N", help="at most N phrases in common and per image (default: 10)"
    )
    parser.add_argument(
        "--share", type=float, default=0.9, metavar="X",
        help="share of the images from which on a phrase is common (default: 0.9)",
    )  # fmt: skip
    options.add_strictness(parser)
    options.add_json(parser)
    options.add_encoder_and_banks(parser)
    parser.set_defaults(run=_command("common", "common"))


def _calibrate(parser: argparse.ArgumentParser) -> None:
    parser.description = (
        "Learn from pictures with captions how sure mode precise can be.\n\nThe caption of a picture is the .txt or"
        " .caption file beside it, else the prompt in its\nmetadata if ComfyUI or A1111 made it, else what the"
        " captioner writes."
    )
    options.add_images(parser)
    options.add_json(parser)
    models = parser.add_argument_group("models")
    options.add_preset(models)
    options.add_captioner(models, "; for pictures with neither a caption beside them nor a prompt in them")
    options.add_encoder(models)
    options.add_loading_options(models)
    options.add_cache_dir(models)
    parser.epilog = options.listing("presets", options.preset_help())
    parser.set_defaults(run=_command("calibrate", "calibrate"))


def _bench(parser: argparse.ArgumentParser) -> None:
    bench_options.add_options(parser)
    parser.set_defaults(run=_command("bench", "bench"))


def _banks(parser: argparse.ArgumentParser) -> None:
    commands = parser.add_subparsers(title="commands", metavar="COMMAND")
    parser.set_defaults(run=_command("banks", "list_banks"), json=False)
    listing = _add(commands, "list", "list the built-in banks and their sizes (the default)", "banks", "list_banks")
    options.add_json(listing)
    show = _add(commands, "show", "print the phrases of a bank", "banks", "show_bank")
    show.add_argument("name", metavar="NAME|FILE", help="built-in bank or list file")
    options.add_artists(show)
    check = _add(commands, "check", "check lists against the rules for phrases", "banks", "check_banks")
    check.add_argument("files", nargs="*", type=Path, metavar="FILE", help="list file (default: the built-in lists)")


def _cache(parser: argparse.ArgumentParser) -> None:
    commands = parser.add_subparsers(title="commands", metavar="COMMAND")
    parser.set_defaults(run=_command("cache", "list_cache"), json=False, cache_dir=None)
    listing = _add(commands, "list", "list models with embeddings on disk (the default)", "cache", "list_cache")
    options.add_cache_dir(listing)
    options.add_json(listing)
    check = _add(commands, "check", "prove all stored embeddings by their checksums", "cache", "check_cache")
    options.add_cache_dir(check)
    options.add_json(check)
    clear = _add(commands, "clear", "delete the embeddings of one model, or of all", "cache", "clear_cache")
    clear.add_argument("name", nargs="?", metavar="MODEL", help="as `cache list` names it (default: all)")
    clear.add_argument(
        "--references", action="store_true", help="delete only the references that an encoder is calibrated by"
    )
    options.add_cache_dir(clear)
    take = _add(commands, "import", "import an embedding table of clip-interrogator", "cache", "import_cache")
    take.add_argument("file", type=Path, metavar="FILE", help="the table, a .safetensors file")
    take.add_argument("--lists", type=Path, required=True, metavar="DIR", help="folder with the lists it was made from")
    models = take.add_argument_group("models")
    options.add_preset(models)
    options.add_encoder(models)
    options.add_loading_options(models)
    options.add_cache_dir(models)


def _models(parser: argparse.ArgumentParser) -> None:
    commands = parser.add_subparsers(title="commands", metavar="COMMAND")
    parser.set_defaults(run=_command("models", "list_models"))
    _list_options(parser)
    listing = _add(commands, "list", "list known models by role and family (the default)", "models", "list_models")
    _list_options(listing, default=argparse.SUPPRESS)
    _add(commands, "path", "print the folder where models are looked for", "models", "models_path")


def _list_options(parser: argparse.ArgumentParser, default: str | None = None) -> None:
    """Which models are listed, and how. default: SUPPRESS keeps what stands before the command of a command."""
    parser.add_argument("--role", choices=ROLES, default=default, help=f"list only these: {', '.join(ROLES)}")
    parser.add_argument("--json", action="store_true", default=default, help="print one JSON object per line")


def _add(commands: Commands, name: str, text: str, module: str, function: str) -> argparse.ArgumentParser:
    """A command of a command; its help is one text in the list of commands and on its own page."""
    parser = commands.add_parser(name, help=text, description=_sentence(text))
    parser.set_defaults(run=_command(module, function))
    return parser


def _sentence(text: str) -> str:
    return f"{text[0].upper()}{text[1:]}."


def _demo(parser: argparse.ArgumentParser) -> None:
    parser.add_argument(
        "--out", default="interrogator-demo", metavar="DIR",
        help="folder for pictures and page (default: interrogator-demo)",
    )  # fmt: skip
    parser.add_argument("--count", type=int, default=8, metavar="N", help="number of pictures (default: 8)")
    parser.add_argument("--seed", type=int, default=1, metavar="N", help="seed of the first picture (default: 1)")
    options.add_cache_dir(parser)
    parser.set_defaults(run=_command("demo", "demo"))
