"""What the rows of the catalog hold."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Literal, TypeVar, get_args

from ..hub import FileSet

Role = Literal["captioner", "tagger", "matcher", "encoder"]
ROLES: tuple[Role, ...] = get_args(Role)
"""What a model does for us."""


Stored = Literal["fp32", "fp16", "bf16"]
"""The dtype of weights in a file."""


@dataclass(frozen=True)
class Marker:
    """The file by which a folder with a model of some family is recognised.

    Attributes:
        file: a small file that every such folder has.
        model_types: what its `model_type` may be, for JSON files that have one; () accepts any.
        unlisted: `module:function` that is asked about the content of `file` where no family lists the type: gives ""
            if the family loads it, why nothing here does, to end a sentence about the model, or None if it is of
            another kind.
        entry: an entry that a JSON file has: the keys that lead to it, from the outside in; () asks for none.
        other_names: what the file may be called instead.
    """

    file: str
    model_types: tuple[str, ...] = ()
    unlisted: str = ""
    entry: tuple[str, ...] = ()
    other_names: tuple[str, ...] = ()

    @property
    def names(self) -> tuple[str, ...]:
        """Every name that the file may have."""
        return (self.file, *self.other_names)


@dataclass(frozen=True)
class Family:
    """Models that load by the same code.

    Attributes:
        name: `blip`, `open_clip` …
        loads: by role the class that loads it, `module:Class`; a module of this package begins with a dot. The class
            has `from_files(located, device, dtype)`.
        files: what a folder or repository with such a model holds.
        marker: the file by which such a folder is recognised; read before any weights are. None for a family without
            folders: what only its finder knows.
        architectures: by role what `architectures` in `config.json` may name, where the file has that entry.
        finder: `module:function` that finds the parts of a model which one folder does not hold, or that has names
            of its own such as ARCH/TAG. Called as `find(name, folder, checkpoint=, download=, progress=, …)` with
            folder None for a name that is no folder; gives what `Located.parts` holds, or None for a name that it does
            not know.
        check: `module:attribute` of what raises ModelLoadError where the folder with the marker alone shows that its
            model cannot be loaded, before any weights are fetched; "" where nothing does.
        suffix: how a file ends whose path is a name that the finder may know; "" where there are none such.
    """

    name: str
    loads: Mapping[Role, str]
    files: FileSet
    marker: Marker | None
    architectures: Mapping[Role, tuple[str, ...]] = field(default_factory=dict)
    finder: str = ""
    check: str = ""
    suffix: str = ""


_BYTES = {"fp32": 4, "fp16": 2, "bf16": 2}
# Work on one image beside the weights, roughly: buffers, and keys and values of the text, which grow with the model.
_WORKING_MB, _WORKING_SHARE = 400, 1.08


def in_words(megabytes: int) -> str:
    """A size for a person: `1.9 GB`, `4 MB`."""
    return f"{megabytes / 1000:.1f} GB" if megabytes >= 100 else f"{megabytes} MB"


@dataclass(frozen=True)
class KnownModel:
    """One known model.

    Attributes:
        name: the name it loads by: a hub id, or `architecture/tag` of open_clip.
        role: what it does.
        family: the name of its family.
        architecture: for people.
        source: the hub repository, or folder, with its weights.
        size_mb: weights to download, in megabytes (10**6 bytes).
        licence: of the weights.
        use: what it is good for.
        revision: branch, tag or commit of that repository; None is its main branch.
        dtype: what `auto` means for it.
        stored: the dtype of its weights on disk.
        gated: the hub gives its files only to those who accepted its terms.
        commercial: the licence allows commercial use.
        subfolder: of the repository, where the files are in one.
        thresholds: of a tagger whose files have none: by category the probability from which its tags hold.
    """

    name: str
    role: Role
    family: str
    architecture: str
    source: str
    size_mb: int
    licence: str
    use: str
    revision: str | None = None
    dtype: str = "auto"
    stored: Stored = "fp32"
    gated: bool = False
    commercial: bool = True
    subfolder: str = ""
    thresholds: Mapping[str, float] = field(default_factory=dict)

    @property
    def size(self) -> str:
        """The size of the weights for a person: `1.9 GB`."""
        return in_words(self.size_mb)

    @property
    def terms(self) -> str:
        """The licence for a person, and what it asks for."""
        remarks = ("" if self.commercial else ", non-commercial") + (", gated" if self.gated else "")
        return self.licence + remarks

    def memory_mb(self, dtype: str) -> int:
        """About how much memory it takes, in megabytes: weights in a dtype, and work on one image. An estimate."""
        weights = self.size_mb * _BYTES[dtype] / _BYTES[self.stored]
        return round(weights * _WORKING_SHARE + min(weights, _WORKING_MB))


Asked = TypeVar("Asked")


@dataclass(frozen=True)
class Preset:
    """A named choice of models and banks.

    Attributes:
        use: what it is good for.
        dtype: what `auto` means for it.
        mode: in which `interrogator prompt` makes prompts unless asked otherwise: what the image generator reads best.
    """

    name: str
    captioner: str
    encoder: str
    banks: tuple[str, ...]
    use: str
    dtype: str = "auto"
    tagger: str | None = None
    matcher: str | None = None
    mode: str = "precise"

    def dtype_for(self, asked: Asked) -> Asked | str:
        """The number format that was asked for, or what `auto` means for this preset."""
        return self.dtype if asked == "auto" else asked

    def model(self, role: Role) -> str | None:
        """The name of its model for a role; None where it has none."""
        name: str | None = getattr(self, role)
        return name
