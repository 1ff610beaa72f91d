"""What the folder of a picture says of it: its name, and whether its pictures are for regularisation."""

from __future__ import annotations

import re
from functools import lru_cache
from pathlib import Path, PurePosixPath

from ..records import Item
from .source import Source

_REPEATS = re.compile(r"\A\d+_(?=.)")  # kohya's folders say how often their pictures are repeated: 10_sks dog
_REGULARISATION = re.compile(r"regs?|(?:reg|regulari[sz]ation)(?:[_ -]?(?:data|images?|imgs?|dir))?", re.IGNORECASE)


def without_repeats(name: str) -> str:
    """The name of a folder without kohya's number of repeats: `10_sks dog` -> `sks dog`."""
    return _REPEATS.sub("", name, count=1)


def folder_of(item: Item, source: Source) -> str:
    """The name of the folder that a picture is in, without repeats; at the top of a source that of the source.

    Of a picture at the top of a tar or table it is the name of that, without its ending.
    """
    path = PurePosixPath(item.key)
    folder, container = path.parent.name, source.container(item)
    if container and path.parent in (PurePosixPath(container), PurePosixPath()):
        folder = PurePosixPath(container).stem
    elif not folder and source.folder is not None:
        folder = source.folder.resolve().name
    return without_repeats(folder)


def is_regularisation(item: Item, source: Source) -> bool:
    """Whether a picture is in a folder `reg` or the like, at any depth, so that no trigger belongs to it.

    The source may be such a folder itself, or one in it whose name begins with repeats, such as `reg/1_girl`.
    """
    names = list(PurePosixPath(item.key).parent.parts)
    if source.folder is not None:
        names += _above(source.folder)
    return any(_REGULARISATION.fullmatch(name) for name in names)


@lru_cache
def _above(folder: Path) -> tuple[str, ...]:
    whole = folder.resolve()
    return (whole.name, whole.parent.name) if _REPEATS.match(whole.name) else (whole.name,)
