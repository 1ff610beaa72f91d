"""What the rows of the catalog hold."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Literal, TypeVar, get_args

from ..hub import FileSet

Role = Literal["captioner", "tagger", "matcher", "encoder"]
ROLES: tuple[Role, ...] = get_args(Role)
"""What a model does for us."""


@dataclass(frozen=True)
class Marker:
    """The file by which a folder with a model of some family is recognised.

    Attributes:
        file: a small file that every such folder has.
        model_types: what its `model_type` may be, for JSON files that have one; () accepts any.
        entry: an entry that a JSON file has: the keys that lead to it, from the outside in; () asks for none.
        other_names: what the file may be called instead.
    """

    file: str
    model_types: tuple[str, ...] = ()
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
    """

    name: str
    loads: Mapping[Role, str]
    files: FileSet
    marker: Marker | None
    architectures: Mapping[Role, tuple[str, ...]] = field(default_factory=dict)
    finder: str = ""


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
    subfolder: str = ""
    thresholds: Mapping[str, float] = field(default_factory=dict)

    @property
    def size(self) -> str:
        """The size of the weights for a person: `1.9 GB`."""
        return f"{self.size_mb / 1000:.1f} GB" if self.size_mb >= 100 else f"{self.size_mb} MB"


Asked = TypeVar("Asked")


@dataclass(frozen=True)
class Preset:
    """A named choice of models and banks; `dtype` is what `auto` means for it."""

    name: str
    captioner: str
    encoder: str
    banks: tuple[str, ...]
    use: str
    dtype: str = "auto"
    tagger: str | None = None
    matcher: str | None = None

    def dtype_for(self, asked: Asked) -> Asked | str:
        """The number format that was asked for, or what `auto` means for this preset."""
        return self.dtype if asked == "auto" else asked

    def model(self, role: Role) -> str | None:
        """The name of its model for a role; None where it has none."""
        name: str | None = getattr(self, role)
        return name
