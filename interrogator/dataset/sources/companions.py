"""Pictures that belong to other pictures: masks and controls, by the names that trainers give them.

    cat-masklabel.png, cat-condlabel.png    beside cat.jpg: OneTrainer; these endings mean nothing else
    masks/cat.png, control/cat.png          beside cat.jpg, or beside images/cat.jpg: a folder that a trainer is told of
    cats_mask/cat.png, cats_controls/…      beside cats/cat.jpg: the same (sd-scripts' conditioning_data_dir, musubi)

Such a folder may as well hold ordinary pictures, those of carnival masks perhaps: it counts only where at least half of
its pictures are named like pictures beside it. `cat_0.png` and `cat_1.png` may be controls of cat.jpg.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from typing import NamedTuple

MASK_ENDING = "-masklabel"
_ENDINGS = (MASK_ENDING, "-condlabel")
_TAILS = frozenset({"labe", "Labe", "LABE"})  # quick to look up: it is done for every picture
_WORDS = "masks?|masklabels?|controls?|cond|conditionings?|conditions?"
_SORTS = r"(?:[_-]?(?:images?|imgs?|data|dir|\d+))?"
_PLAIN = re.compile(rf"[_-]*(?:{_WORDS}){_SORTS}", re.IGNORECASE)
_OF_ANOTHER = re.compile(rf"(.+?)[_-]+(?:{_WORDS}){_SORTS}", re.IGNORECASE)
_HINT = re.compile("mask|con", re.IGNORECASE)  # what all of them hold
_OF_PICTURES = re.compile(
    r"images?|imgs?|pictures?|photos?|targets?|train|data|instances?|originals?|\d+_.+", re.IGNORECASE
)
_NUMBERED = re.compile(r"(.+)_\d+")
_SHARE = 0.5


class Folder(NamedTuple):
    """A folder that may be one of masks or controls: its own key."""

    path: str

    @property
    def name(self) -> str:
        return self.path.rpartition("/")[2]

    @property
    def is_of_masks(self) -> bool:
        """Whether it is named like one of masks, not of other controls."""
        return "mask" in self.name.lower()


class Companions:
    """Tells masks and controls from other pictures, after all pictures of a source were added."""

    def __init__(self) -> None:
        self._stems: set[int] = set()  # hashes: a number is a fifth of its text
        self._folders: dict[str, Folder | None] = {}
        self._inside: dict[str, list[str]] = {}

    def add(self, key: str) -> str | Folder | None:
        """Note a picture. The ending or the folder that its name could be a companion's by; None if there is none."""
        stem = key.rpartition(".")[0]
        if stem[-5:-1] in _TAILS and (ending := _ending(stem)):
            return ending
        self._stems.add(hash(stem))
        parent = key.rpartition("/")[0]
        try:
            return self._folders[parent]
        except KeyError:
            found = self._folders[parent] = _folder(parent)
            return found

    def pictures_of(self, key: str, folder: Folder) -> list[str]:
        """The stems of the pictures that one in a folder of companions would belong to, of those that were added."""
        return [stem for stem in self._possible(key, folder) if hash(stem) in self._stems]

    def belong(self, keys: list[str], folder: Folder) -> bool:
        """Whether the pictures of a folder, all of them, are companions."""
        return sum(bool(self.pictures_of(key, folder)) for key in keys) >= _SHARE * len(keys)

    def _possible(self, key: str, folder: Folder) -> Iterator[str]:
        above = folder.path[: len(folder.path) - len(folder.name)]  # with `/` at its end, if there is any
        below = key[len(folder.path) + 1 :].rpartition(".")[0]
        numbered = _NUMBERED.fullmatch(below)
        for name in (below, *(numbered.groups() if numbered else ())):
            yield above + name
            for beside in self._beside(above, folder):
                yield f"{above}{beside}/{name}"

    def _beside(self, above: str, folder: Folder) -> list[str]:
        """Names of the folders whose pictures those of a folder may belong to."""
        if folder.path not in self._inside:
            paths = [path for path in self._folders if path.startswith(above)]
            names = dict.fromkeys(path[len(above) :].partition("/")[0] for path in paths)
            named = _OF_ANOTHER.fullmatch(folder.name)
            wanted = named[1].lower() if named else None
            self._inside[folder.path] = [
                name for name in names if name and (name.lower() == wanted or _OF_PICTURES.fullmatch(name))
            ]
        return self._inside[folder.path]


def _ending(stem: str) -> str:
    """The ending that says that a picture is a mask or a control; "" if none does."""
    return next((ending for ending in _ENDINGS if stem.lower().endswith(ending)), "")


def _folder(path: str) -> Folder | None:
    """The innermost folder of a path that is named like one of companions."""
    if not _HINT.search(path):
        return None
    parts = path.split("/")
    for count in range(len(parts), 0, -1):
        if _PLAIN.fullmatch(parts[count - 1]) or _OF_ANOTHER.fullmatch(parts[count - 1]):
            return Folder("/".join(parts[:count]))
    return None
