"""What trainers read of a dataset: by trainer, the targets it takes and how each of them has to be written.

Every row is what the trainer's own reading code does; tests/trainers runs that code on what we write. docs/trainers.md
is this table for people.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Literal, NamedTuple

from ...dataset_choices import PathStyle, Placement, TargetKind
from ...errors import RequestError
from .options import TargetOptions

Several = Literal["lines", "list", ""]


@dataclass(frozen=True)
class Form:
    """How a trainer reads one kind of target.

    Attributes:
        setting: what the trainer has to be told to read it; "" is nothing.
        several: how it reads several captions of a picture, of which it picks one each time: the lines of a text, or a
            list; "" takes all lines for one caption.
        several_setting: what it has to be told to do so.
        column: of captions; "" is whatever it is told.
        name_column: of names; "" is that of the target.
        paths: what it takes names for; None is a target without names.
        final_newline: whether a line feed at the end of a file is no part of the caption.
        ascii: whether it opens the file in the encoding of its system, so that only ASCII is the same everywhere.
    """

    setting: str = ""
    several: Several = ""
    several_setting: str = ""
    column: str = ""
    name_column: str = ""
    paths: PathStyle | None = None
    final_newline: bool = True
    ascii: bool = False


@dataclass(frozen=True)
class Trainer:
    """A row of `TRAINERS`.

    Attributes:
        title: its name as its authors write it.
        reads: by kind of target, how it is read; the first is what is written if nobody asks for another.
        folders: whether it reads the folders inside a folder; else each is a dataset of its own.
    """

    title: str
    reads: Mapping[TargetKind, Form]
    folders: bool = True


_WILDCARD = "enable_wildcard = true"
TRAINERS: Mapping[str, Trainer] = {
    "sd-scripts": Trainer(
        "kohya's sd-scripts",
        {
            "txt": Form('caption_extension = ".txt"', "lines", _WILDCARD),
            "caption": Form("", "lines", _WILDCARD),
            "kohya-json": Form('metadata_file = "meta_cap.json", image_dir', "lines", _WILDCARD),
            "kohya-jsonl": Form('metadata_file = "meta_cap.jsonl", image_dir', "lines", _WILDCARD),
        },
        folders=False,
    ),
    "onetrainer": Trainer(
        "OneTrainer",
        {"txt": Form("Prompt Source: From text file per sample; Include Subdirectories", "lines")},
    ),
    "simpletuner": Trainer(
        "SimpleTuner",
        {
            "txt": Form('"caption_strategy": "textfile"', "lines"),
            "jsonl": Form(
                '"caption_strategy": "parquet", "parquet": {"path": "metadata.jsonl", "filename_column": "file_name", '
                '"caption_column": "text", "identifier_includes_extension": true}',
                "list",
                paths="relative",
            ),
        },
    ),
    "ai-toolkit": Trainer(
        "ai-toolkit",
        {
            "txt": Form('caption_ext: "txt"', final_newline=False),
            "caption": Form('caption_ext: "caption"', final_newline=False),
            "kohya-json": Form('dataset_path: "meta_cap.json"', paths="absolute", ascii=True),
        },
    ),
    "musubi": Trainer(
        "musubi-tuner",
        {
            "txt": Form('caption_extension = ".txt"'),
            "caption": Form('caption_extension = ".caption"'),
            "kohya-jsonl": Form('image_jsonl_file = "meta_cap.jsonl"', paths="absolute"),
        },
        folders=False,
    ),
    "diffusion-pipe": Trainer(
        "diffusion-pipe", {"txt": Form(), "captions-json": Form("", "list", ascii=True)}, folders=False
    ),
    "diffusers": Trainer(
        "diffusers",
        {"jsonl": Form('--caption_column="text" --image_column="image"', "list", paths="relative")},
    ),
    "diffsynth": Trainer(
        "DiffSynth-Studio",
        {
            "jsonl": Form(
                '--dataset_metadata_path metadata.jsonl --data_file_keys "image"', column="prompt",
                name_column="image", paths="relative", ascii=True,
            ),
            "csv": Form(
                '--dataset_metadata_path captions.csv --data_file_keys "image"', column="prompt", name_column="image",
                paths="relative",
            ),
        },
    ),
}  # fmt: skip


class Written(NamedTuple):
    """Target, column of captions and options of a run; a target or column of None is what is there, else the usual."""

    target: TargetKind | None
    column: str | None
    options: TargetOptions


def written_for(
    name: str, target: str | None = None, column: str | None = None, *, paths: PathStyle | None = None,
    name_column: str = "", images: Placement | None = None, several: bool = False,
) -> Written:  # fmt: skip
    """What to write for a trainer.

    Args:
        name: a key of `TRAINERS`.
        target, column, paths, name_column: as somebody asked for; None or "" is what the trainer reads.
        images: as in `TargetOptions`.
        several: whether pictures have several captions each.

    Raises RequestError: an unknown trainer, or it does not read what was asked for.
    """
    trainer = TRAINERS.get(name)
    if trainer is None:
        raise RequestError(f"unknown trainer {name!r}; choose from {', '.join(TRAINERS)}")
    kind = _target(trainer, target, several)
    form = trainer.reads[kind]
    _agree(trainer, kind, "the caption column", column, form.column)
    _agree(trainer, kind, "the column of names", name_column, form.name_column or _own_names(kind, form))
    if paths is not None and form.paths is not None and paths != form.paths:
        raise RequestError(f"{trainer.title} takes names in {kind} for {form.paths} paths, not {paths}")
    options = TargetOptions(
        form.paths or paths or "relative", form.name_column or name_column, images, form.final_newline, form.ascii, name
    )
    return Written(kind, column or form.column or None, options)


def form_of(trainer: str, kind: str) -> Form | None:
    """How a trainer reads a kind of target; None where nobody said which trainer, or it does not."""
    row = TRAINERS.get(trainer)
    return None if row is None else next((form for name, form in row.reads.items() if name == kind), None)


def _target(trainer: Trainer, target: str | None, several: bool) -> TargetKind:
    kinds = ", ".join(trainer.reads)
    if target is None:
        with_several = (kind for kind, form in trainer.reads.items() if form.several or not several)
        found = next(with_several, None)
        if found is None:
            raise RequestError(f"{trainer.title} reads one caption of each picture: keep one")
        return found
    for kind, form in trainer.reads.items():
        if kind == target:
            if several and not form.several:
                others = " or ".join(kind for kind, form in trainer.reads.items() if form.several)
                raise RequestError(
                    f"{trainer.title} takes all captions of a picture in {target} for one: keep one"
                    + (f", or choose target {others}" if others else "")
                )
            return kind
    raise RequestError(f"{trainer.title} does not read {target}; choose from {kinds}")


def _own_names(kind: str, form: Form) -> str:
    """The column of names that a target has by itself, where the trainer wants that one."""
    return "file_name" if kind in ("jsonl", "csv") and form.name_column == "" else ""


def _agree(trainer: Trainer, kind: str, what: str, asked: str | None, wanted: str) -> None:
    if asked and wanted and asked != wanted:
        raise RequestError(f"{trainer.title} reads {kind} with {wanted!r} for {what}, not {asked!r}")
