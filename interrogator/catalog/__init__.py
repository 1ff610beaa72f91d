"""Families, known models and presets as rows: data only. Code asks these tables; nothing branches on a model's name.

kinds       what a row holds
families    which code loads which files; chat_types, which types of transformers the family chat loads
captioners, chat_models, taggers, matchers, encoders    the known models, by role
presets     models and banks that go together
demo, licences, chat_types    what several rows share
"""

from __future__ import annotations

from collections.abc import Iterable
from difflib import get_close_matches
from pathlib import Path

from ..errors import UnknownModelError
from .captioners import CAPTIONERS
from .demo import DEMO_FOLDER
from .encoders import ENCODERS
from .families import FAMILIES
from .kinds import ROLES, Family, KnownModel, Marker, Preset, Role, in_words
from .matchers import MATCHERS
from .presets import DEFAULT_PRESET, PRESETS
from .taggers import TAGGERS

__all__ = [
    "DEFAULT_PRESET",
    "DEMO_FOLDER",
    "FAMILIES",
    "MODELS",
    "PRESETS",
    "ROLES",
    "Family",
    "KnownModel",
    "Marker",
    "Preset",
    "Role",
    "families",
    "in_words",
    "folder_names",
    "known_model",
    "preset",
    "row_in",
    "unknown",
]

MODELS: tuple[KnownModel, ...] = (*CAPTIONERS, *TAGGERS, *MATCHERS, *ENCODERS)


def preset(name: str) -> Preset:
    """The preset of this name.

    Raises:
        UnknownModelError: there is none; lists those there are.
    """
    for row in PRESETS:
        if row.name == name:
            return row
    raise UnknownModelError(f"unknown preset {name!r}; choose from {', '.join(row.name for row in PRESETS)}")


def known_model(role: Role, name: str) -> KnownModel | None:
    """The catalog's row of a model, or None where the catalog does not know it (it may load all the same)."""
    return next((row for row in MODELS if row.role == role and row.name == name), None)


def folder_names(row: KnownModel) -> list[str]:
    """What a folder with a known model may be called below a folder for models, in lower case."""
    names: list[str] = []
    for name in (row.name, row.source):
        short = name.rpartition("/")[2]
        names += [each.casefold() for each in (name, name.replace("/", "--"), short)]
    return list(dict.fromkeys(names))


def row_in(role: Role, name: str, *paths: Path) -> KnownModel | None:
    """The row of a model by its name, else by what its folder, or its file without the ending, is called."""
    row = known_model(role, name)
    called = [each.casefold() for path in paths for each in (path.name, path.stem)]
    rows = (known for known in MODELS if known.role == role and not set(called).isdisjoint(folder_names(known)))
    return row or next(rows, None)


def families(role: Role) -> list[Family]:
    """The families that have this role, in the order in which a folder is tried for them."""
    return [family for family in FAMILIES if role in family.loads]


def unknown(what: str, name: str, known: Iterable[str]) -> str:
    """A sentence about an unknown name, with the known names nearest to it."""
    known = list(known)
    near = get_close_matches(name, known, n=4, cutoff=0.5) or known[:12]
    return f"unknown {what} {name!r}; choose from {', '.join(near)}"
