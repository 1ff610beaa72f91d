"""What a dataset run can be asked for by name: tables that every front end reads. Loads nothing of a run."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Literal, get_args

Policy = Literal["skip", "overwrite", "append", "prepend", "if-empty"]
POLICIES: tuple[Policy, ...] = get_args(Policy)
"""skip: what is there stays, even if blank; if-empty: unless it is blank; append, prepend: both are kept."""

Lines = Literal["all", "first", "as-one"]
LINES: tuple[Lines, ...] = get_args(Lines)
"""all: each line of a text is a caption of its own; first: the first one is the caption; as-one: all are one text."""

SourceKind = Literal["folder", "imagefolder", "webdataset", "parquet", "list"]
TargetKind = Literal[
    "txt", "caption", "jsonl", "kohya-json", "kohya-jsonl", "captions-json", "csv", "parquet", "webdataset"
]


@dataclass(frozen=True)
class SourceFormat:
    """A row of `SOURCES`.

    Attributes:
        help: what the pictures are read from, in a few words.
    """

    help: str


@dataclass(frozen=True)
class TargetFormat:
    """A row of `TARGETS`.

    Attributes:
        help: what is written, in a few words.
        file: the file's usual name, where all captions go into one file; "" elsewhere.
        beside_pictures: whether the captions are files of their own, each beside its picture.
    """

    help: str
    file: str = ""
    beside_pictures: bool = False


SOURCES: Mapping[SourceKind, SourceFormat] = {
    "folder": SourceFormat("the pictures in a folder and all folders below it"),
    "imagefolder": SourceFormat("a folder with Hugging Face's metadata.jsonl, metadata.csv or metadata.parquet"),
    "webdataset": SourceFormat("tars: one, a folder of them, or a pattern such as shard-{000..127}.tar"),
    "parquet": SourceFormat("parquet files that hold pictures, or the paths or URLs of pictures"),
    "list": SourceFormat("a text or CSV file that names one path or URL per line"),
}
SOURCE_KINDS: tuple[SourceKind, ...] = tuple(SOURCES)
"""What pictures come from."""

TARGETS: Mapping[TargetKind, TargetFormat] = {
    "txt": TargetFormat("a .txt file beside each picture", beside_pictures=True),
    "caption": TargetFormat("a .caption file beside each picture", beside_pictures=True),
    "jsonl": TargetFormat("one JSON object per line, as Hugging Face's imagefolder reads them", "metadata.jsonl"),
    "kohya-json": TargetFormat("one JSON file for kohya's sd-scripts", "meta_cap.json"),
    "kohya-jsonl": TargetFormat("one JSON object per line, for kohya's sd-scripts", "meta_cap.jsonl"),
    "captions-json": TargetFormat("lists of captions, one JSON file in each folder, for diffusion-pipe"),
    "csv": TargetFormat("a table of file names and captions", "captions.csv"),
    "parquet": TargetFormat("a table with captions, tags, scores and failures", "captions.parquet"),
    "webdataset": TargetFormat("tars parallel to those of the pictures, or with the pictures"),
}
TARGET_KINDS: tuple[TargetKind, ...] = tuple(TARGETS)
"""Where captions go."""

PathStyle = Literal["relative", "absolute", "key"]
PATH_STYLES: tuple[PathStyle, ...] = get_args(PathStyle)
"""What a table calls its pictures: their paths from its folder; their whole paths; or what the source calls them, for
programs that look them up there."""

Placement = Literal["copy", "link"]
PLACEMENTS: tuple[Placement, ...] = get_args(Placement)
"""How pictures get into the folder of the captions."""
