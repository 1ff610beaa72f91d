"""The two file formats of phrase lists: one phrase per line, and the table of artists."""

from __future__ import annotations

import csv
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from ..errors import BankError

ARTIST_COLUMNS = ("name", "born", "died", "movements")


@dataclass(frozen=True)
class Artist:
    """One row of a table of artists; a year of None is unknown."""

    name: str
    born: int | None
    died: int | None
    movements: tuple[str, ...]
    line: int

    def dead_for(self, years: int, this_year: int) -> bool:
        """Whether the artist has been dead for at least `years` years; unknown years count as living.

        Since only the year of death is known, the year in which the term ends does not count yet.
        """
        return self.died is not None and this_year - self.died > years


def is_comment(line: str) -> bool:
    """Whether a line is `#` alone or followed by a space; `#hashtag` is a phrase (old lists contain some)."""
    return line == "#" or line.startswith("# ")


def read_text(path: Path) -> str:
    """The text of a list. Raises BankError: names the file and what is wrong with it."""
    try:
        return path.read_text(encoding="utf-8-sig")
    except UnicodeDecodeError as error:
        raise BankError(f"{path}: not UTF-8 text (byte {error.start}); save the list as UTF-8") from error
    except OSError as error:
        raise BankError(f"{path}: cannot read the phrase list ({error.strerror or error})") from error


def read_lines(path: Path) -> Iterator[tuple[int, str]]:
    """Line number and phrase of every line that is neither empty nor a comment, with whitespace normalised."""
    for number, line in enumerate(read_text(path).splitlines(), 1):
        phrase = " ".join(line.split())
        if phrase and not is_comment(phrase):
            yield number, phrase


def read_artists(path: Path) -> list[Artist]:
    """The rows of a csv with the columns name, born, died, movements (`;` between movements).

    Raises:
        BankError: a column is missing or a year is not a number; names file and line.
    """
    lines = [(number, line) for number, line in enumerate(read_text(path).splitlines(), 1)]
    lines = [(number, line) for number, line in lines if line.strip() and not is_comment(line)]
    rows = csv.reader(line for _, line in lines)
    header = next(rows, [])
    if "name" not in header:
        raise BankError(f"{path}: a table of artists must start with the columns {','.join(ARTIST_COLUMNS)}")
    artists = []
    for (number, _), row in zip(lines[1:], rows, strict=False):
        fields = dict(zip(header, row, strict=False))
        name = " ".join(fields["name"].split())
        if not name:
            raise BankError(f"{path}:{number}: the row has no name")
        artists.append(
            Artist(
                name=name,
                born=_year(fields.get("born", ""), path, number),
                died=_year(fields.get("died", ""), path, number),
                movements=tuple(m.strip() for m in fields.get("movements", "").split(";") if m.strip()),
                line=number,
            )
        )
    return artists


def _year(text: str, path: Path, line: int) -> int | None:
    text = text.strip()
    if not text:
        return None
    try:
        return int(text)
    except ValueError as error:
        raise BankError(f"{path}:{line}: {text!r} is not a year; leave an unknown year empty") from error
