"""Names of files as datasets that were made on Windows have them: `sub\\b.png`, `C:\\data\\sub\\b.png`."""

from __future__ import annotations

import os
import re
from collections.abc import Callable

_WHOLE = re.compile(r"[A-Za-z]:[\\/]|\\")


def is_of_windows(name: str) -> bool:
    """Whether a name may be one that only Windows understands."""
    return os.name != "nt" and ("\\" in name and "://" not in name or _WHOLE.match(name) is not None)


def portable(name: str, exists: Callable[[str], bool]) -> str:
    r"""A name of Windows with `/` between its parts, relative to a folder; any other name as it is.

    Of a whole path that is the longest end that is there, and if none is, all but the drive. A name that is there as it
    stands, for `\` may be in names elsewhere, stays.

    Args:
        exists: whether a file of this name is in the folder.
    """
    if not is_of_windows(name) or exists(name):
        return name
    parts = [part for part in re.split(r"[\\/]+", name) if part not in ("", ".")]
    if _WHOLE.match(name) is None:
        return "/".join(parts)
    parts = [part for part in parts if part != ".." and not re.fullmatch(r"[A-Za-z]:", part)]
    ends = ["/".join(parts[start:]) for start in range(len(parts))]
    return next(filter(exists, ends), ends[0] if ends else name)
