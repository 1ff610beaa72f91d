"""How a target writes what it writes, and what of it does not go together."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict, dataclass, fields
from typing import Any

from ...dataset_choices import PATH_STYLES, PLACEMENTS, PathStyle, Placement
from ...errors import RequestError

NAMED_TABLES = ("jsonl", "csv", "kohya-json", "kohya-jsonl")
"""Targets whose rows find their picture by its name."""


@dataclass(frozen=True)
class TargetOptions:
    """How a target writes what it writes; the texts are the same whatever these say. Checked when made.

    Attributes:
        paths: what tables call pictures; one of `PATH_STYLES`.
        name_column: of the names in jsonl and csv; "" is `file_name`.
        images: put the pictures into the folder of the captions, too: "copy", "link", or None not to.
        final_newline: end caption files with a line feed; an empty one is a line feed anyway, for readers of lines.
        ascii: in JSON, escape letters that are not ASCII.
        trainer: whom it is written for, as in `trainers.TRAINERS`; "" is nobody in particular. See `written_for`, which
            chooses the others.
        repack: webdataset tars have the pictures, too.
        tar_size: samples in such a tar.
    """

    paths: PathStyle = "relative"
    name_column: str = ""
    images: Placement | None = None
    final_newline: bool = True
    ascii: bool = False
    trainer: str = ""
    repack: bool = False
    tar_size: int = 10_000

    def __post_init__(self) -> None:
        """Raises RequestError: an unknown word."""
        if self.paths not in PATH_STYLES:
            raise RequestError(f"unknown paths {self.paths!r}; choose from {', '.join(PATH_STYLES)}")
        if self.images is not None and self.images not in PLACEMENTS:
            raise RequestError(f"unknown images {self.images!r}; choose from {', '.join(PLACEMENTS)}, or None")
        if self.tar_size < 1:
            raise RequestError(f"tar_size must be at least 1, not {self.tar_size}")

    def as_dict(self) -> dict[str, Any]:
        """Those that are not the default, so that a run has the name it had before there were options."""
        usual = {each.name: each.default for each in fields(self)}
        return {name: value for name, value in asdict(self).items() if value != usual[name]}

    @classmethod
    def from_dict(cls, values: Mapping[str, Any]) -> TargetOptions:
        """Options from `as_dict`. Raises TypeError, RequestError: these are none that this version knows."""
        return cls(**values)

    def check(self, kind: str, out: object) -> None:
        """Raises RequestError: they mean nothing to this kind of target, or without a folder of its own."""
        if self.paths != "relative" and kind not in NAMED_TABLES:
            raise RequestError(f"paths {self.paths} is for tables that name pictures: {', '.join(NAMED_TABLES)}")
        if self.name_column and kind not in ("jsonl", "csv"):
            raise RequestError("a name column can be chosen in jsonl and csv only")
        if not self.final_newline and kind not in ("txt", "caption"):
            raise RequestError(f"{kind} has no line feed to leave out; that is for txt and caption files")
        if self.images is not None and kind == "webdataset":
            raise RequestError("pictures go into tars, not beside them: repack them, or leave out copying and linking")
        if self.repack and kind != "webdataset":
            raise RequestError("only target webdataset can be repacked: name it")
        if self.tar_size != 10_000 and not self.repack:
            raise RequestError("the size of tars is for those that are repacked")
        if self.images is not None and out is None:
            raise RequestError("the pictures are beside the captions already; name a folder that both go to")
        if self.images is not None and self.paths == "key":
            raise RequestError("pictures in the folder of the captions are called by their paths there, not by key")


DEFAULT_OPTIONS = TargetOptions()
