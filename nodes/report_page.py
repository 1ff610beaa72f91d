"""The report of a dataset run, served to the browser: nothing but reports and their thumbnails, and no foreign script.

A page is served only if it is, byte for byte, what this version writes around its data.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from pathlib import Path
from urllib.parse import quote

from ..interrogator.dataset.state.run_folder import HOME
from . import host
from .dataset_folders import PLACES, dataset_folder

PREFIX = "/interrogator/report"
"""web/js/results.js has it, too."""

_ROUTE = PREFIX + "/{place}/{folder}/{run}/{file:.+}"
_PAGE = "report.html"
_PICTURE = re.compile(r"report_pictures_[0-9a-f]{12}/[0-9]+/[0-9]+\.jpg")
_RUN = re.compile("[0-9a-f]{12}")
_SAFE = {"X-Content-Type-Options": "nosniff", "Referrer-Policy": "no-referrer", "Cache-Control": "no-cache"}


def address(place: str, folder: str, page: Path | None) -> str:
    """Where the browser gets the report of a run; "" if there is none."""
    return "" if page is None else f"{PREFIX}/{place}/{quote(folder.strip(), safe='')}/{page.parent.name}/{page.name}"


def find(place: str, folder: str, run: str, file: str) -> Path | None:
    """The file that an address names; None where it is no report, no picture of one, or behind a link."""
    is_known = file == _PAGE or _PICTURE.fullmatch(file)
    if place not in PLACES or not _RUN.fullmatch(run) or not is_known:
        return None
    try:
        path = dataset_folder(place, folder) / HOME / run / file
        return path if path.is_file() and path.resolve() == path else None
    except (OSError, ValueError):
        return None


def headers(path: Path) -> dict[str, str] | None:
    """What a browser is told with a file; None where it is a page that this version did not write.

    The page's own policy lets it run nothing but its script and reach no address. The header takes its
    origin away besides; with --disable-api-nodes, ComfyUI puts another in its place.
    """
    if path.name != _PAGE:
        return {**_SAFE, "Content-Type": "image/jpeg"}
    from ..interrogator.dataset.review.report.page import is_page

    told = {"Content-Type": "text/html; charset=utf-8", "Content-Security-Policy": "sandbox allow-scripts allow-forms"}
    return {**_SAFE, **told} if is_page(path) else None


def answer(asked: Mapping[str, str]) -> tuple[Path, Mapping[str, str]]:
    """The file that an address names, by its parts, and what the browser is told with it.

    Raises:
        FileNotFoundError: there is none, or it is none to give out.
        ValueError: it is a page that this version did not write.
    """
    path = find(asked["place"], asked["folder"], asked["run"], asked["file"])
    if path is None:
        raise FileNotFoundError("There is no such report.")
    told = headers(path)
    if told is None:
        raise ValueError(f"Another version of Interrogator wrote this report. Open its file: {path}")
    return path, told


host.serve_file(_ROUTE, answer)
