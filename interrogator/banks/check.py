"""The rules for phrase lists of this project; `interrogator banks check` reports violations."""

from __future__ import annotations

import hashlib
import re
from collections import Counter
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from os import PathLike
from pathlib import Path

from .bank import composed
from .collection import BUILT_IN_FOLDER, built_in_files
from .formats import read_artists, read_phrases, read_text

MAX_WORDS = 12
# If more phrases than this share their first or last word, the list was machine-generated.
MAX_SHARED_WORD = 25
# ComfyUI and A1111 read these as weights, wildcards and separators.
FORBIDDEN = frozenset(",()[]{}<>|:")
# Slurs as the first 16 hex digits of the SHA-256 of the casefolded word, so that the words do not appear here.
_SLURS = frozenset((Path(__file__).parent / "slurs.sha256").read_text(encoding="ascii").split())


@dataclass(frozen=True)
class Problem:
    """One violation; `line` is 0 if it concerns the whole file."""

    path: Path
    line: int
    text: str

    def __str__(self) -> str:
        return f"{self.path}:{self.line}: {self.text}" if self.line else f"{self.path}: {self.text}"


def check_bank_file(path: str | PathLike[str], artists: Iterable[str] = ()) -> list[Problem]:
    """The violations within one list; `artists` are names that it must not contain.

    Raises:
        BankError: the file cannot be read.
    """
    path = Path(path)
    phrases = _phrases(path)
    names = {_words(name) for name in artists}
    longest = max(map(len, names), default=0)
    problems = list(_shared_words(path, phrases))
    if path.suffix.lower() != ".json" and not read_text(path).startswith("#"):
        problems.append(Problem(path, 1, "the first line must be a `# ` comment that states the list's purpose"))
    line_of: dict[str, int] = {}
    for line, phrase in phrases:
        folded = phrase.casefold()
        if folded in line_of:
            problems.append(Problem(path, line, f"{phrase!r} duplicates line {line_of[folded]}"))
        line_of.setdefault(folded, line)
        problems += [Problem(path, line, text) for text in _faults(phrase)]
        if _holds_any(_words(phrase), names, longest):
            problems.append(Problem(path, line, f"{phrase!r} contains a person's name, which belongs in artists only"))
    return sorted(problems, key=lambda problem: problem.line)


def check_built_in_banks(folder: Path = BUILT_IN_FOLDER) -> list[Problem]:
    """The violations in the package's own lists, including duplicates across files."""
    files = built_in_files(folder)
    artists = [artist.name for path in files.values() if path.suffix == ".csv" for artist in read_artists(path)]
    problems: list[Problem] = []
    first: dict[str, Path] = {}
    for path in files.values():
        problems += check_bank_file(path, () if path.suffix == ".csv" else artists)
        for line, phrase in _phrases(path):
            other = first.setdefault(phrase.casefold(), path)
            if other != path:
                problems.append(Problem(path, line, f"{phrase!r} is already in {other.name}"))
    return problems


def _phrases(path: Path) -> list[tuple[int, str]]:
    return [(line, composed(phrase)) for line, phrase in read_phrases(path)]


def _shared_words(path: Path, phrases: list[tuple[int, str]]) -> Iterator[Problem]:
    for index, label in ((0, "begin"), (-1, "end")):
        words = Counter(phrase.casefold().split()[index] for _, phrase in phrases)
        for word, count in words.items():
            if count > MAX_SHARED_WORD:
                yield Problem(path, 0, f"{count} phrases {label} with {word!r}; the limit is {MAX_SHARED_WORD}")


def _faults(phrase: str) -> Iterator[str]:
    forbidden = sorted(FORBIDDEN & set(phrase))
    if forbidden:
        yield f"{phrase!r} contains {' '.join(forbidden)}, which prompts read as weights, wildcards or separators"
    if len(phrase.split()) > MAX_WORDS:
        yield f"{phrase!r} has more than {MAX_WORDS} words"
    for word in re.findall(r"\w+", phrase.casefold()):
        if hashlib.sha256(word.encode()).hexdigest()[:16] in _SLURS:
            yield f"{phrase!r} contains a slur"


def _words(text: str) -> tuple[str, ...]:
    return tuple(re.findall(r"[\w'’.-]+", text.casefold()))


def _holds_any(words: tuple[str, ...], names: set[tuple[str, ...]], longest: int) -> bool:
    """Whether two or more consecutive `words` are a name; single names (Christo, Erté) have other meanings too.

    longest: the number of words of the longest name.
    """
    lengths = range(2, min(longest, len(words)) + 1)
    return any(words[start : start + length] in names for length in lengths for start in range(len(words) - length + 1))
