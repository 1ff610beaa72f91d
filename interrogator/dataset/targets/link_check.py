"""Links that a caption file would be written through, or in place of."""

from __future__ import annotations

import os
from collections.abc import Iterable
from pathlib import Path

from ...errors import RequestError


class LinkCheck:
    """Says what is wrong with writing a file; remembers where folders lead."""

    def __init__(self) -> None:
        self._problems: dict[tuple[str, Path], str] = {}

    def problem(self, path: Path, root: Path | None) -> str:
        """Why a file is not to be written, one sentence; "" if it is.

        root: the folder that nothing is to be written outside of, itself perhaps behind a link; None is anywhere.
        """
        if os.path.islink(path):
            return f"{path.name} is a link, and writing would replace it; remove it, or write elsewhere with --out"
        if root is None:
            return ""
        folder = os.path.dirname(path)
        if (folder, root) not in self._problems:
            self._problems[folder, root] = _leads_out(folder, root)
        return self._problems[folder, root]


def _leads_out(folder: str, root: Path) -> str:
    real, home = os.path.realpath(folder), os.path.realpath(root)
    if os.path.join(real, "").startswith(os.path.join(home, "")):
        return ""
    return f"its folder is a link to {real}: name that as a source of its own, or write elsewhere with --out"


def check_links(files: Iterable[Path], root: Path | None) -> None:
    """Check the files of many captions each before anything is made; arguments as of `LinkCheck.problem`.

    Raises RequestError.
    """
    check = LinkCheck()
    for file in files:
        if os.path.islink(file):
            raise RequestError(
                f"{file}: is a link to {os.path.realpath(file)}, and writing would replace it; remove it, or name "
                "another file with --out"
            )
        if problem := check.problem(file, root):
            raise RequestError(f"{file}: {problem}")
