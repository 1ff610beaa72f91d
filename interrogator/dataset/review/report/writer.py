"""Writing the report: records in, `report.html`, `summary.json` and perhaps a folder of thumbnails out."""

from __future__ import annotations

import base64
import hashlib
import json
import math
import os
import re
import shutil
import tempfile
from array import array
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import IO, Any

import numpy as np
import numpy.typing as npt

from ....files import temp_path, write_pieces, write_whole
from ...records import Record
from ...text import split_words
from ..findings import Findings
from .page import data, page

PAGE = "report.html"
SUMMARY = "summary.json"
INLINE_PICTURES = 500
"""Up to so many records, thumbnails are in the page itself; beyond, in a folder beside it."""

MOST_SHOWN = 50_000
"""So many records are on the page at most, those that most want a look; a browser takes no million."""

_PICTURES = "report_pictures_"
_PICTURES_FOLDER = re.compile(_PICTURES + "[0-9a-f]{12}")
_PER_FOLDER = 1000  # as in page.js
_SHOWN = (
    "key", "status", "reason", "caption", "flags", "tokens", "width", "height", "existing", "unsupported",
    "distinctive", "texts",
)  # fmt: skip

Thumbnails = Callable[[Record], "bytes | None"]
Numbers = npt.NDArray[np.int64]


def write_report(
    folder: str | os.PathLike[str],
    records: Iterable[Record],
    findings: Findings,
    settings: Mapping[str, Any],
    thumbnails: Thumbnails,
    title: str = "Captions",
    common: Sequence[tuple[str, str, float]] = (),
) -> Path:
    """Write `report.html` and `summary.json`, each whole or not at all; what stood there is replaced.

    Rows wait in a temporary file, so memory grows by a few bytes a record.

    Args:
        folder: made if it is not there.
        records: those that the findings are about, once more; gone through twice.
        settings: what the run was asked for and the versions it ran with, for people to read; may nest.
        thumbnails: a small JPEG of a record's picture, or None; called when the record was
            given, once, and only for those on the page.
        common: phrases that nearly all pictures share: text, bank, and share of the pictures.

    Returns:
        The path of the page.

    Raises:
        OSError: the folder cannot be written.
    """
    home = Path(folder)
    home.mkdir(parents=True, exist_ok=True)
    shared = [{"text": text, "bank": bank, "share": share} for text, bank, share in common]
    summary = {"title": title, **findings.as_dict(), "common": shared, "settings": dict(settings)}
    with tempfile.TemporaryFile() as rows:
        pictures = None if findings.total <= INLINE_PICTURES else _Pictures(home)
        try:
            shown = _most_wanted(records, findings)
            spans = _write_rows(rows, records, shown, findings, thumbnails, pictures)
            name = pictures.finish() if pictures else ""
            write_pieces(home / PAGE, page({**_short(summary), "folder": name}, _in_order(rows, spans)))
        except BaseException:
            if pictures:
                pictures.discard()
            raise
    text = json.dumps(_plain(summary), ensure_ascii=False, indent=1, default=str)
    write_whole(home / SUMMARY, (text + "\n").encode("utf-8", "backslashreplace"))
    _remove_others(home, name)
    return home / PAGE


class _Pictures:
    """The folder of thumbnails, under another name until it is whole."""

    def __init__(self, home: Path) -> None:
        self._home = home
        self._aside = temp_path(home)
        self._aside.mkdir()
        self._last = self._aside
        self._state = hashlib.sha256()

    def add(self, number: int, picture: bytes) -> None:
        """Write the thumbnail of a record."""
        folder = self._aside / str(number // _PER_FOLDER)
        if folder != self._last:  # numbers rise
            folder.mkdir(exist_ok=True)
            self._last = folder
        (folder / f"{number}.jpg").write_bytes(picture)
        self._state.update(b"%d %d " % (number, len(picture)) + picture)

    def finish(self) -> str:
        """Give the folder the name that its content has."""
        name = _PICTURES + self._state.hexdigest()[:12]
        if (self._home / name).is_dir():
            self.discard()  # the same are there
        else:
            os.rename(self._aside, self._home / name)
        return name

    def discard(self) -> None:
        """Remove what was written aside, if it is there."""
        shutil.rmtree(self._aside, ignore_errors=True)


def _most_wanted(records: Iterable[Record], findings: Findings) -> Numbers:
    """The numbers of the records that are on the page, the worst first: int64 [<= MOST_SHOWN]."""
    grave = {finding.id for finding in findings.found if finding.severity != "note"}
    kinds, scores = array("b"), array("d")  # nine bytes a record
    for record in records:
        ids = findings.ids.get((record.source, record.key), ())
        kind, score = _rank(record, not grave.isdisjoint(ids))
        kinds.append(kind)
        scores.append(score)
    return np.lexsort((scores, kinds))[:MOST_SHOWN]


def _write_rows(
    file: IO[bytes], records: Iterable[Record], shown: Numbers, findings: Findings, thumbnails: Thumbnails,
    pictures: _Pictures | None,
) -> Numbers:  # fmt: skip
    """Write a row for each record that is shown; where each begins and ends, in the order of `shown`: int64 [n, 2]."""
    fragments = [(finding.id, f" {finding.fragment} ") for finding in findings.found if finding.fragment]
    positions = np.full(findings.total, -1)
    positions[shown] = np.arange(len(shown))
    spans = np.zeros((len(shown), 2), dtype=np.int64)
    start = 0
    for number, record in enumerate(records):
        if positions[number] < 0:
            continue
        ids = findings.ids.get((record.source, record.key), ())
        words = " ".join(("", *split_words(record.caption), "")) if fragments else ""
        row = {**_row(record), "findings": [*ids, *(id for id, fragment in fragments if fragment in words)]}
        if picture := thumbnails(record):
            if pictures:
                pictures.add(number, picture)
                row["number"] = number
            else:
                row["thumbnail"] = "data:image/jpeg;base64," + base64.b64encode(picture).decode()
        line = data(row)
        file.write(line)
        spans[positions[number]] = start, start + len(line)
        start += len(line)
    return spans


def _rank(record: Record, is_grave: bool) -> tuple[int, float]:
    """Failed first, then those to review, then those with findings, then the rest, each by how badly they match."""
    score = record.scores.get("clip", record.scores.get("itm", math.inf))
    score = score if math.isfinite(score) else math.inf
    if record.status == "failed":
        return 0, score
    return (1 if "review" in record.flags else 2 if is_grave else 3), score


def _row(record: Record) -> dict[str, Any]:
    """The fields that the page shows, where there is anything in them."""
    row: dict[str, Any] = {name: getattr(record, name) for name in _SHOWN}
    row["scores"] = {name: round(score, 5) for name, score in record.scores.items() if math.isfinite(score)}
    row["tags"] = [(tag.text, round(tag.probability, 3)) for tag in record.tags]
    row["captions"] = record.captions if len(record.captions) > 1 else ()
    return {name: value for name, value in row.items() if value}


def _in_order(file: IO[bytes], spans: Numbers) -> Iterator[bytes]:
    for start, stop in spans:
        file.seek(start)
        yield file.read(stop - start)


def _short(summary: Mapping[str, Any]) -> dict[str, Any]:
    """The summary without the keys of each finding, which the rows have."""
    findings = [{name: value for name, value in finding.items() if name != "keys"} for finding in summary["findings"]]
    return {**_plain(summary), "findings": findings}


def _plain(value: Any) -> Any:
    """The value with only what JSON can hold: text for keys, null for what is no finite number."""
    if isinstance(value, Mapping):
        return {str(name): _plain(inner) for name, inner in value.items()}
    if isinstance(value, (list, tuple, set, frozenset)):
        return [_plain(inner) for inner in value]
    return None if isinstance(value, float) and not math.isfinite(value) else value


def _remove_others(home: Path, name: str) -> None:
    """Remove the thumbnails of earlier reports here."""
    for entry in home.iterdir():
        if _PICTURES_FOLDER.fullmatch(entry.name) and entry.name != name:
            shutil.rmtree(entry, ignore_errors=True)
