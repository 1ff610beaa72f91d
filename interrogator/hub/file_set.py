"""Which files make a model."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass


@dataclass(frozen=True)
class FileSet:
    """The files that make a model.

    required: each must be there.  any_of: of each inner sequence one file is enough, the earliest that exists is
    used.  optional: taken along by a download, never asked for.  Names are relative to the repository, with `/`.
    """

    required: tuple[str, ...] = ()
    any_of: tuple[tuple[str, ...], ...] = ()
    optional: tuple[str, ...] = ()

    def under(self, folder: str) -> FileSet:
        """The same files in a folder of the repository; "" is the repository itself."""
        if not folder:
            return self
        required, optional = ([f"{folder}/{name}" for name in names] for names in (self.required, self.optional))
        any_of = tuple(tuple(f"{folder}/{name}" for name in names) for names in self.any_of)
        return FileSet(tuple(required), any_of, tuple(optional))

    def missing(self, is_there: Callable[[str], bool]) -> list[str]:
        """What is not there, one text a file or choice: `config.json`, `model.safetensors or pytorch_model.bin`."""
        lacking = [name for name in self.required if not is_there(name)]
        lacking += [" or ".join(names) for names in self.any_of if not any(is_there(name) for name in names)]
        return lacking

    def pick(self, names: set[str]) -> list[str]:
        """The files to take out of `names`: the optional ones, all required, and the first there is of each choice."""
        chosen = [name for name in self.required if name in names]
        for alternatives in self.any_of:
            chosen += [name for name in alternatives if name in names][:1]
        extras = [name for name in self.optional if name in names and name not in chosen]
        return list(dict.fromkeys(extras + chosen))
