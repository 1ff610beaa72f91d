"""Which files make a model."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from fnmatch import fnmatchcase
from pathlib import Path, PurePosixPath

from ..errors import ModelLoadError
from .transfer.listing import is_inside


@dataclass(frozen=True)
class Shards:
    """Weights that are cut into several files, which only an index names.

    index: the file whose `weight_map` names them, such as `model.safetensors.index.json`.  pattern: what they are
    called, for a listing in which the index cannot be read: `model-*-of-*.safetensors`.
    """

    index: str
    pattern: str

    def named(self, folder: Path) -> list[str]:
        """The files that the index in a folder names. Raises ModelLoadError: it cannot be read."""
        path = folder / self.index
        try:
            names = json.loads(path.read_text(encoding="utf-8"))["weight_map"].values()
            named = sorted({(PurePosixPath(self.index).parent / str(name)).as_posix() for name in names})
        except (OSError, ValueError, LookupError, TypeError, AttributeError) as error:
            raise ModelLoadError(f"{path} is no index of weights; fetch it again") from error
        outside = [name for name in named if not is_inside(name)]
        if outside:
            raise ModelLoadError(f"{path} names a file outside of its folder: {outside[0]}")
        return named

    def listed(self, names: Iterable[str]) -> list[str]:
        """The files of a listing that are called so."""
        return sorted(name for name in names if fnmatchcase(name, self.pattern))


@dataclass(frozen=True)
class FileSet:
    """The files that make a model.

    required: each must be there.  any_of: of each inner sequence one file is enough, the earliest that exists is
    used.  optional: taken along by a download, never asked for.  shards: the files that an index names belong to the
    model where that index is the file used of a choice.  Names are relative to the repository, with `/`.
    """

    required: tuple[str, ...] = ()
    any_of: tuple[tuple[str, ...], ...] = ()
    optional: tuple[str, ...] = ()
    shards: tuple[Shards, ...] = ()

    def under(self, folder: str) -> FileSet:
        """The same files in a folder of the repository; "" is the repository itself."""
        if not folder:
            return self
        required, optional = ([f"{folder}/{name}" for name in names] for names in (self.required, self.optional))
        any_of = tuple(tuple(f"{folder}/{name}" for name in names) for names in self.any_of)
        shards = tuple(Shards(f"{folder}/{each.index}", f"{folder}/{each.pattern}") for each in self.shards)
        return FileSet(tuple(required), any_of, tuple(optional), shards)

    def missing(self, is_there: Callable[[str], bool]) -> list[str]:
        """What is not there, one text a file or choice: `config.json`, `model.safetensors or pytorch_model.bin`."""
        lacking = [name for name in self.required if not is_there(name)]
        lacking += [" or ".join(names) for names in self.any_of if not any(is_there(name) for name in names)]
        return lacking

    def missing_in(self, folder: Path, is_there: Callable[[str], bool]) -> list[str]:
        """`missing`, and the shards that the folder lacks. Raises ModelLoadError: an index cannot be read."""
        lacking = self.missing(is_there)
        for shards in self._used(is_there):
            lacking += [name for name in shards.named(folder) if not is_there(name)]
        return lacking

    def pick(self, names: set[str]) -> list[str]:
        """The files to take out of `names`: the optional ones, all required, and the first there is of each choice."""
        chosen = [name for name in self.required if name in names]
        for alternatives in self.any_of:
            chosen += [name for name in alternatives if name in names][:1]
        extras = [name for name in self.optional if name in names and name not in chosen]
        cut = [name for shards in self._used(names.__contains__) for name in shards.listed(names)]
        return list(dict.fromkeys(extras + cut + chosen))

    def _used(self, is_there: Callable[[str], bool]) -> list[Shards]:
        """The shards whose index is the file used of a choice."""
        firsts = {next((name for name in names if is_there(name)), None) for names in self.any_of}
        return [shards for shards in self.shards if shards.index in firsts]
