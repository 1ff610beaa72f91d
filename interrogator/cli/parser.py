"""The command line's grammar. Nothing heavy is imported here: `interrogator --help` answers at once."""

from __future__ import annotations

import argparse
from collections.abc import Callable
from importlib import import_module
from pathlib import Path

from ..catalog import PRESETS
from ..version import __version__

MODES = ("best", "classic", "fast", "negative", "caption")


def build_parser() -> argparse.ArgumentParser:
    """The parser; `args.run(args)` of what it returns runs the command and gives the exit status."""
    parser = argparse.ArgumentParser(
        prog="interrogator", description="From an image to the words that would make it.",
        epilog="Exit status: 0 all done, 1 some inputs failed (each named on stderr), 2 wrong usage.",
    )  # fmt: skip
    parser.add_argument("--version", action="version", version=f"interrogator {__version__}")
    commands = parser.add_subparsers(title="commands", required=True, metavar="COMMAND")
    _prompt(commands.add_parser("prompt", help="a prompt for each image"))
    _caption(commands.add_parser("caption", help="captions for a whole dataset"))
    _rank(commands.add_parser("rank", help="the phrases most like an image"))
    _banks(commands.add_parser("banks", help="list, show or check phrase lists"))
    _cache(commands.add_parser("cache", help="the phrase embeddings kept on disk"))
    _models(commands.add_parser("models", help="known models, what is on disk, and where"))
    _demo(commands.add_parser("demo", help="draw pictures and interrogate them with the models in the package"))
    return parser


def _command(module: str, function: str) -> Callable[[argparse.Namespace], int]:
    """Imports a command's module when it runs, so that its dependencies do not delay the others."""

    def run(args: argparse.Namespace) -> int:
        return int(getattr(import_module(f".{module}", __package__), function)(args))

    return run


def _prompt(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("images", nargs="+", metavar="IMAGE", help="image files")
    parser.add_argument("--mode", choices=MODES, default="best", help="how the prompt is made (default: best)")
    parser.add_argument("--caption", metavar="TEXT", help="use this caption for every image; '' for none")
    parser.add_argument("--min-phrases", type=int, default=8, metavar="N", help="chain steps that may lower similarity")
    parser.add_argument("--max-phrases", type=int, metavar="N", help="phrases at most (default: classic 3, others 32)")
    parser.add_argument("--beams", type=int, default=1, metavar="N", help="chains to grow side by side (default: 1)")
    parser.add_argument("--avoid-repeats", action="store_true", help="pass over phrases whose words are all there")
    parser.add_argument(
        "--min-angle", type=float, default=0.0, metavar="DEGREES",
        help="pass over phrases this near in meaning to one taken (default: 0, off)",
    )  # fmt: skip
    parser.add_argument("--escape", action="store_true", help="put a backslash before brackets, which are weights")
    _models_options(parser)
    caption = parser.add_argument_group("caption")
    caption.add_argument("--captioner", metavar="C", help="hub id or folder of a BLIP, or none")
    caption.add_argument("--caption-beams", type=int, default=1, metavar="N", help="its beams (default: 1, greedy)")
    caption.add_argument("--max-caption-tokens", type=int, default=32, metavar="N", help="its length (default: 32)")
    caption.add_argument("--caption-prefix", default="", metavar="TEXT", help="words the caption starts from")
    caption.add_argument("--repetition-penalty", type=float, default=1.0, metavar="X", help="above 1 repeats less")
    caption.add_argument("--no-repeat-ngram", type=int, default=0, metavar="N", help="no N words in a row twice")
    caption.add_argument("--strip", type=Path, metavar="FILE", help="list of words to take out of captions")
    _bank_options(parser)
    parser.set_defaults(run=_command("prompt", "prompt"))


def _caption(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("sources", nargs="*", metavar="SOURCE", help="folder, tar, parquet file or list; path or URL")
    parser.add_argument("--out", metavar="DIR", help="where captions go (default: beside the pictures)")
    parser.add_argument(
        "--target", choices=("txt", "caption", "jsonl", "kohya-json", "kohya-jsonl", "csv", "parquet", "webdataset"),
        default="txt", help="a .txt or .caption for each picture, or one file for all (default: txt)",
    )  # fmt: skip
    parser.add_argument("--column", default="text", metavar="NAME", help="of captions in a table (default: text)")
    parser.add_argument(
        "--kind", choices=("folder", "imagefolder", "webdataset", "parquet", "list"), help="what the sources are"
    )
    parser.add_argument("--mode", choices=MODES, default="caption", help="caption, or a prompt (default: caption)")
    parser.add_argument(
        "--quality", choices=("greedy", "beam", "best-of-n", "capfilt", "laion-coco"), default="greedy",
        help="how captions are made (default: greedy)",
    )  # fmt: skip
    parser.add_argument("--samples", type=int, default=8, metavar="N", help="of best-of-n (default: 8)")
    parser.add_argument("--several", type=int, default=1, metavar="N", help="captions kept for each picture")
    parser.add_argument("--seed", type=int, default=0, metavar="N", help="of the samples (default: 0)")
    parser.add_argument("--max-phrases", type=int, metavar="N", help="phrases of a prompt at most")
    parser.add_argument("--score", action="store_true", help="compare each caption with its picture by CLIP")
    _running_options(parser.add_argument_group("running"))
    _wording_options(parser.add_argument_group("wording"))
    _models_options(parser)
    models = parser.add_argument_group("more models")
    models.add_argument("--captioner", metavar="C", help="hub id or folder of a BLIP")
    models.add_argument("--second-encoder", metavar="E", help="of quality laion-coco")
    models.add_argument("--matcher", metavar="M", help="hub id or folder of a BLIP ITM, of quality capfilt")
    models.add_argument("--max-caption-tokens", type=int, default=32, metavar="N", help="caption length (default: 32)")
    models.add_argument("--caption-prefix", default="", metavar="TEXT", help="words the captioner starts from")
    models.add_argument("--repetition-penalty", type=float, default=1.0, metavar="X", help="above 1 repeats less")
    _bank_options(parser)
    parser.set_defaults(run=_command("caption", "caption"))


def _running_options(group: argparse._ArgumentGroup) -> None:
    group.add_argument(
        "--existing", choices=("skip", "overwrite", "append", "prepend", "if-empty"), default="skip",
        help="what becomes of captions that are there (default: skip)",
    )  # fmt: skip
    group.add_argument("--separator", default=", ", metavar="TEXT", help="between old and new text (default: ', ')")
    group.add_argument("--dry-run", action="store_true", help="say what would be done, and do nothing")
    group.add_argument("--retry-failed", action="store_true", help="try those again that failed before")
    group.add_argument(
        "--undo", type=Path, metavar="RUN", help="put back what was there before a run; names its folder"
    )
    group.add_argument("--threads", type=int, metavar="N", help="that read pictures (default: processors)")
    group.add_argument("--shard-size", type=int, default=64, metavar="N", help="pictures a crash costs (default: 64)")
    group.add_argument("--rank", type=int, metavar="N", help="which process of several this is")
    group.add_argument("--world-size", type=int, metavar="N", help="how many processes there are")
    group.add_argument("--engine", choices=("local", "ray"), default="local", help="who works (default: local)")
    group.add_argument("--workers", type=int, metavar="N", help="processes (default: one a GPU, else a machine)")


def _wording_options(group: argparse._ArgumentGroup) -> None:
    group.add_argument("--trigger", default="", metavar="WORD", help="what the trained thing is called")
    group.add_argument("--template", default="{caption}", metavar="TEXT", help="{trigger}, {caption}, {mediums} …")
    group.add_argument("--text-prefix", default="", metavar="TEXT", help="put in front of every text")
    group.add_argument("--text-suffix", default="", metavar="TEXT", help="put behind every text")
    group.add_argument("--strip", action="append", default=[], metavar="WORDS", help="take out; repeatable")
    group.add_argument("--replace", action="append", default=[], type=_pair, metavar="OLD=NEW", help="repeatable")
    group.add_argument(
        "--replace-regex", action="append", default=[], type=_pair, metavar="REGEX=NEW", help="repeatable"
    )
    group.add_argument("--forbid", action="append", default=[], metavar="WORDS", help="never written; repeatable")
    group.add_argument("--require", action="append", default=[], metavar="WORDS", help="chosen by; repeatable")
    group.add_argument("--token-limit", type=int, default=0, metavar="N", help="cut texts at so many CLIP tokens")


def _pair(text: str) -> tuple[str, str]:
    old, equals, new = text.partition("=")
    if not equals or not old:
        raise argparse.ArgumentTypeError(f"{text!r} is not of the form OLD=NEW")
    return old, new


def _rank(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("image", metavar="IMAGE", help="an image file")
    parser.add_argument("--top", type=int, default=10, metavar="N", help="how many phrases (default: 10)")
    _models_options(parser)
    _bank_options(parser)
    parser.set_defaults(run=_command("prompt", "rank"))


def _models_options(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("--json", action="store_true", help="one JSON object a line")
    group = parser.add_argument_group("models")
    names = ", ".join(f"{row.name} ({row.use})" for row in PRESETS)
    group.add_argument("--preset", default="sd15", metavar="P", help=f"{names}; default: sd15")
    _encoder_options(group)
    group.add_argument("--dtype", default="auto", metavar="T", help="auto, fp32, bf16, fp16")
    group.add_argument("--cache-dir", type=Path, metavar="DIR", help="where phrase embeddings are kept")


def _encoder_options(group: argparse._ActionsContainer) -> None:
    group.add_argument("--encoder", metavar="E", help="ARCH/TAG, hf-hub:REPO, local-dir:FOLDER, or ARCH")
    group.add_argument("--checkpoint", type=Path, metavar="FILE", help="weights for an encoder named by ARCH")
    group.add_argument("--device", default="auto", metavar="D", help="auto, cpu, cuda, cuda:1, mps")
    group.add_argument("--download", action="store_true", help="fetch missing model files from the Hugging Face hub")


def _bank_options(parser: argparse.ArgumentParser) -> None:
    group = parser.add_argument_group("phrase banks")
    group.add_argument(
        "--bank", action="append", metavar="NAME|FILE", help="use this bank, list or folder of lists; repeatable"
    )
    group.add_argument("--no-bank", action="append", default=[], metavar="NAME", help="switch a bank off; repeatable")
    group.add_argument(
        "--block", action="append", default=[], metavar="PHRASE", help="leave out phrases with these words"
    )
    group.add_argument("--block-list", type=Path, metavar="FILE", help="a file of words to block, one entry a line")
    group.add_argument(
        "--quota", action="append", default=[], type=_quota, metavar="NAME=N", help="at most N phrases of a bank"
    )
    group.add_argument(
        "--artists", choices=("all", "long_dead", "none"), default="all",
        help="which artists; long_dead: dead for 70 years or more",
    )  # fmt: skip


def _quota(text: str) -> tuple[str, int]:
    name, equals, number = text.rpartition("=")
    if not equals or not name or not number.isdecimal():
        raise argparse.ArgumentTypeError(f"{text!r} is not of the form NAME=N")
    return name, int(number)


def _banks(parser: argparse.ArgumentParser) -> None:
    commands = parser.add_subparsers(metavar="list | show | check")
    parser.set_defaults(run=_command("banks", "list_banks"), json=False)
    listing = commands.add_parser("list", help="names and sizes of the built-in banks")
    listing.add_argument("--json", action="store_true", help="one JSON object a line")
    listing.set_defaults(run=_command("banks", "list_banks"))
    show = commands.add_parser("show", help="print the phrases of a bank")
    show.add_argument("name", metavar="NAME|FILE")
    show.add_argument("--artists", choices=("all", "long_dead", "none"), default="all", help="which artists")
    show.set_defaults(run=_command("banks", "show_bank"))
    check = commands.add_parser("check", help="report what breaks the rules of the lists")
    check.add_argument("files", nargs="*", type=Path, metavar="FILE", help="default: the built-in lists")
    check.set_defaults(run=_command("banks", "check_banks"))


def _cache(parser: argparse.ArgumentParser) -> None:
    commands = parser.add_subparsers(metavar="list | clear | import")
    parser.set_defaults(run=_command("cache", "list_cache"), json=False, cache_dir=None)
    folder = argparse.ArgumentParser(add_help=False)
    folder.add_argument("--cache-dir", type=Path, metavar="DIR", help="default: this user's cache folder")
    listing = commands.add_parser("list", parents=[folder], help="what is kept, how large, where")
    listing.add_argument("--json", action="store_true", help="one JSON object a line")
    listing.set_defaults(run=_command("cache", "list_cache"))
    clear = commands.add_parser("clear", parents=[folder], help="delete embeddings, of one model or all")
    clear.add_argument("name", nargs="?", metavar="MODEL")
    clear.set_defaults(run=_command("cache", "clear_cache"))
    take = commands.add_parser("import", parents=[folder], help="take over a table of clip-interrogator")
    take.add_argument("file", type=Path, metavar="FILE")
    take.add_argument("--lists", type=Path, required=True, metavar="FOLDER", help="the lists that FILE was made of")
    take.add_argument("--preset", default="sd15", metavar="P", help="whose encoder made it (default: sd15)")
    take.add_argument("--dtype", default="auto", metavar="T", help="auto, fp32, bf16, fp16")
    _encoder_options(take)
    take.set_defaults(run=_command("cache", "import_cache"))


def _models(parser: argparse.ArgumentParser) -> None:
    commands = parser.add_subparsers(metavar="list | path")
    parser.set_defaults(run=_command("models", "list_models"), json=False)
    listing = commands.add_parser("list", help="known models, their size, licence and use, and whether they are here")
    listing.add_argument("--json", action="store_true", help="one JSON object a line")
    listing.set_defaults(run=_command("models", "list_models"))
    path = commands.add_parser("path", help="the folder that model files may be put in")
    path.set_defaults(run=_command("models", "models_path"))


def _demo(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("--out", type=Path, default=Path("interrogator-demo"), metavar="DIR", help="where to write")
    parser.add_argument("--count", type=int, default=8, metavar="N", help="how many pictures (default: 8)")
    parser.add_argument("--seed", type=int, default=1, metavar="N", help="of the first picture (default: 1)")
    parser.add_argument("--cache-dir", type=Path, metavar="DIR", help="where phrase embeddings are kept")
    parser.set_defaults(run=_command("demo", "demo"))
