"""The file formats of phrase lists: one phrase per line, a JSON list, a csv of phrases, tags or artists."""

from __future__ import annotations

import csv
import json
import re
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from ..csv_fields import csv_reader
from ..errors import BankError

ARTIST_COLUMNS = ("name", "born", "died", "movements")
_PHRASE_COLUMNS = ("phrase", "phrases")


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
        data = path.read_bytes()
    except OSError as error:
        raise BankError(f"{path}: cannot read the phrase list ({error.strerror or error})") from error
    if data.startswith((b"\xff\xfe", b"\xfe\xff")) or b"\0" in data[:4096]:
        raise BankError(f"{path}: UTF-16 text, or no text at all; save the list as UTF-8")
    try:
        return data.decode("utf-8-sig").replace("\r\n", "\n").replace("\r", "\n")
    except UnicodeDecodeError as error:
        raise BankError(f"{path}: not UTF-8 text (byte {error.start}); save the list as UTF-8") from error


def read_lines(path: Path) -> Iterator[tuple[int, str]]:
    """Line number and phrase of every line that is neither empty nor a comment, with whitespace normalised."""
    for number, line in enumerate(read_text(path).splitlines(), 1):
        phrase = " ".join(line.split())
        if phrase and not is_comment(phrase):
            yield number, phrase


def read_phrases(path: Path) -> list[tuple[int, str]]:
    """Line number and phrase of everything in a list, whatever its format; artists are their bare names.

    A `.json` file is a list of strings, counted from 1. A csv goes by its header: a table of artists, the column
    `phrase` or `phrases` of any table, or the vocabulary of a tagger.

    Raises:
        BankError: the file cannot be read, or is no list; names file and line.
    """
    suffix = path.suffix.lower()
    if suffix == ".json":
        return _read_json(path)
    if suffix != ".csv":
        return list(read_lines(path))
    table = _read_table(path)
    if table.is_artists:
        return [(artist.line, artist.name) for artist in table.artists()]
    return table.phrases()


def is_artists_table(path: Path) -> bool:
    """Whether a list is a table of artists. Raises BankError: it cannot be read, or is no list."""
    return path.suffix.lower() == ".csv" and _read_table(path).is_artists


def read_artists(path: Path) -> list[Artist]:
    """The rows of a csv with the columns name, born, died, movements (`;` between movements).

    Raises:
        BankError: a column is missing or a year is not a number; names file and line.
    """
    table = _read_table(path)
    if not table.is_artists:
        raise BankError(f"{path}: a table of artists must start with the columns {','.join(ARTIST_COLUMNS)}")
    return table.artists()


@dataclass(frozen=True)
class _Table:
    """A csv: its header, and its rows by column with the line on which each ends."""

    path: Path
    header: tuple[str, ...]
    rows: tuple[tuple[int, dict[str, str]], ...]

    @property
    def is_artists(self) -> bool:
        return set(self.header) <= {*ARTIST_COLUMNS, ""} and "name" in self.header

    def artists(self) -> list[Artist]:
        return [
            Artist(
                name=self._text(line, row, "name"),
                born=_year(row.get("born", ""), self.path, line),
                died=_year(row.get("died", ""), self.path, line),
                movements=tuple(m.strip() for m in row.get("movements", "").split(";") if m.strip()),
                line=line,
            )
            for line, row in self.rows
        ]

    def phrases(self) -> list[tuple[int, str]]:
        for column in _PHRASE_COLUMNS:
            if column in self.header:
                return [(line, self._text(line, row, column)) for line, row in self.rows]
        if {"tag_id", "name"} <= set(self.header):  # the vocabulary of a WD tagger
            return [(line, _words_of_tag(self._text(line, row, "name"))) for line, row in self.rows]
        raise BankError(
            f"{self.path}: its columns {','.join(self.header)} are none of a phrase list; name one of them `phrase`, "
            f"or those of artists {','.join(ARTIST_COLUMNS)}"
        )

    def _text(self, line: int, row: dict[str, str], column: str) -> str:
        text = " ".join(row.get(column, "").split())
        if not text:
            raise BankError(f"{self.path}:{line}: the row has no {column}")
        return text


def _read_table(path: Path) -> _Table:
    lines = [(number, line) for number, line in enumerate(read_text(path).splitlines(keepends=True), 1)]
    lines = [(number, line) for number, line in lines if line.strip() and not is_comment(line.rstrip())]
    reader = csv_reader(line for _, line in lines)
    rows: list[tuple[int, dict[str, str]]] = []
    header: tuple[str, ...] = ()
    try:
        for row in reader:
            number = lines[reader.line_num - 1][0]
            if not header:
                header = tuple(name.strip().casefold() for name in row)
            elif len(row) > len(header) and any(field.strip() for field in row[len(header) :]):
                columns = f"{len(row)} fields for {len(header)} columns"
                raise BankError(f"{path}:{number}: the row has {columns}; quote fields that contain commas")
            else:
                rows.append((number, dict(zip(header, row, strict=False))))
    except csv.Error as error:
        line = lines[min(max(reader.line_num, 1), len(lines)) - 1][0]
        raise BankError(f"{path}:{line}: not a valid csv row ({error})") from error
    return _Table(path, header, tuple(rows))


def _read_json(path: Path) -> list[tuple[int, str]]:
    try:
        entries = json.loads(read_text(path))
    except (ValueError, RecursionError) as error:
        raise BankError(f"{path}: not valid JSON ({error}); it must be a list of strings") from error
    if not isinstance(entries, list) or not all(isinstance(entry, str) for entry in entries):
        raise BankError(f"{path}: a JSON list of phrases must be a list of strings and nothing else")
    tidy = [(number, " ".join(entry.split())) for number, entry in enumerate(entries, 1)]
    return [(number, phrase) for number, phrase in tidy if phrase]


def _words_of_tag(tag: str) -> str:
    """A tag with spaces for underscores; a kaomoji such as `o_o` or `(o)_(o)` stays as it is."""
    return tag if len(tag) <= 3 else re.sub(r"(?<=[^\W_])_|_(?=[^\W_])", " ", tag)


def _year(text: str, path: Path, line: int) -> int | None:
    text = text.strip()
    if not text:
        return None
    try:
        return int(text)
    except ValueError as error:
        raise BankError(f"{path}:{line}: {text!r} is not a year; leave an unknown year empty") from error
