"""Links that a caption file would be written through, or in place of."""

from __future__ import annotations

import os
from collections.abc import Iterable
from pathlib import Path

from ...errors import RequestError


class LinkCheck:
    """Says what is wrong with writing a file; remembers where folders lead."""

    def __init__(self) -> None:
        self._real: dict[str, str] = {}

    def problem(self, path: Path, root: Path | None) -> str:
        """Why a file is not to be written, one sentence; "" if it is.

        root: the folder that nothing is to be written outside of, itself perhaps behind a link; None is anywhere.
        """
        if os.path.islink(path):
            return f"{path.name} is a link, and writing would replace it; remove it, or write elsewhere with --out"
        if root is None:
            return ""
        folder, home = self._led(os.path.dirname(path)), self._led(os.fspath(root))
        if os.path.join(folder, "").startswith(os.path.join(home, "")):
            return ""
        return f"its folder is a link to {folder}: name that as a source of its own, or write elsewhere with --out"

    def _led(self, folder: str) -> str:
        if folder not in self._real:
            self._real[folder] = os.path.realpath(folder)
        return self._real[folder]


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
