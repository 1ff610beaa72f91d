"""One pass over the records of a run."""

from __future__ import annotations

import hashlib
import math
import re
import unicodedata
from array import array
from collections import Counter
from collections.abc import Iterable, Sequence

import numpy as np
import numpy.typing as npt

from ...records import Record
from ...text import CaptionRules, holds, repeated, split_words
from ..dhash import NEAR, equal_groups, near_numbers
from .finding import SHOWN, Finding, Findings, ScoreSummary
from .fragments import Fragments
from .kinds import KINDS, Kind

LOW_ITM = 0.5
"""Below this probability the matching head says that picture and caption do not belong together (BLIP's CapFilt)."""

LOW_DEVIATIONS = 2.0
LOW_PERCENTILE = 5.0
_REASONS = 50
_STATUSES = ("done", "kept", "failed")


def find(records: Iterable[Record], wording: CaptionRules | None = None, near_bits: int = NEAR) -> Findings:
    """Look through the records of a run, once.

    What is kept of each is its key and some 50 bytes, so a million records take about 200 MB.

    Args:
        wording: of the run: its trigger, required words and token limit are looked for; its prefix and suffix are no
            fragments.
        near_bits: in how many of 64 bits pictures that look alike may differ.
    """
    search = _Search(wording or CaptionRules())
    for record in records:
        search.add(record)
    return search.findings(near_bits)


class _Search:
    """What is kept of the records seen so far; a place is the number of a record."""

    def __init__(self, wording: CaptionRules) -> None:
        self._wording = wording
        self._keys: list[str] = []
        self._sources = array("l")
        self._statuses = Counter[str]()
        self._reasons = Counter[str]()
        self._examples: dict[str, str] = {}
        self._scores: dict[str, tuple[array[int], array[float]]] = {}
        self._fragments = Fragments()
        self._single: dict[str, list[int]] = {}  # kind -> places
        # Per record, 0 for nothing: 64 bits each, of which two are equal by chance once in 10^7 runs of a million.
        self._captions = array("Q")
        self._bytes = array("Q")
        self._looks = array("Q")
        self._has_looks = array("b")

    def add(self, record: Record) -> None:
        """Take in one record."""
        place = len(self._keys)
        self._keys.append(record.key)
        self._sources.append(record.source)
        self._statuses[record.status] += 1
        self._bytes.append(_number(record.sha256))
        self._looks.append(int(record.dhash or "0", 16))
        self._has_looks.append(bool(record.dhash))
        words = split_words(record.caption)
        self._captions.append(_number(" ".join(words) or record.caption.strip()))
        if record.status == "failed":
            self._add_reason(record)
            self._note("failed", place)
            return
        for name, score in record.scores.items():
            if math.isfinite(score):
                places, scores = self._scores.setdefault(name, (array("q"), array("d")))
                places.append(place)
                scores.append(score)
        if words:
            self._fragments.add(words)
        for kind in _told(record, self._wording):
            self._note(kind, place)

    def findings(self, near_bits: int) -> Findings:
        """What they come to."""
        places = {kind: list(noted) for kind, noted in self._single.items()}
        places["low_match"] = self._low_matches()
        groups = {
            "same_stem": self._stems(same_case=True),
            "same_but_case": self._stems(same_case=False),
            "same_picture": _groups(self._bytes),
            "near_pictures": self._near(near_bits),
            "duplicate_captions": _groups(self._captions),
        }
        places |= {kind: [place for group in found for place in group] for kind, found in groups.items()}
        found = [self._finding(kind, places[kind.id], groups.get(kind.id, [])) for kind in KINDS if places.get(kind.id)]
        found += self._frequent_fragments()
        return Findings(
            total=len(self._keys),
            statuses={status: self._statuses[status] for status in _STATUSES},
            reasons={self._examples[reason]: count for reason, count in self._reasons.most_common(_REASONS)},
            scores={name: _summary(scores) for name, (_, scores) in sorted(self._scores.items())},
            found=tuple(sorted(found, key=lambda finding: ("error", "warning", "note").index(finding.severity))),
            ids=self._ids(places),
        )

    def _note(self, kind: str, place: int) -> None:
        self._single.setdefault(kind, []).append(place)

    def _add_reason(self, record: Record) -> None:
        """Count a reason; those that differ in name and numbers only are one."""
        told = record.reason.replace(record.key, "the file") or "no reason is known"
        general = re.sub(r"\d+", "#", told)
        self._reasons[general] += 1
        self._examples.setdefault(general, told)

    def _low_matches(self) -> list[int]:
        low: set[int] = set()
        if "itm" in self._scores:
            places, scores = self._scores["itm"]
            low.update(place for place, score in zip(places, scores, strict=True) if score < LOW_ITM)
        if "clip" in self._scores:
            places, scores = self._scores["clip"]
            values = np.frombuffer(scores)  # [n]
            line = values.mean() - LOW_DEVIATIONS * values.std()
            is_low = (values < np.percentile(values, LOW_PERCENTILE)) & (values < line)
            low.update(np.frombuffer(places, dtype=np.int64)[is_low].tolist())
        return sorted(low)

    def _stems(self, same_case: bool) -> list[list[int]]:
        """Keys that would share a sidecar: everywhere, or where the file system does not know case."""
        folded = (f"{source}/{_folded(_stem(key))}" for source, key in zip(self._sources, self._keys, strict=True))
        found: list[list[int]] = []
        for group in _groups(array("Q", map(_number, folded))):
            stems = Counter(_stem(self._keys[place]) for place in group)
            if same_case:
                found += [[p for p in group if _stem(self._keys[p]) == stem] for stem, n in stems.items() if n > 1]
            elif len(stems) > 1:
                found.append(group)
        return found

    def _near(self, bits: int) -> list[list[int]]:
        """Groups of pictures that look alike and are not all the same file."""
        seen = np.flatnonzero(np.array(self._has_looks, dtype=np.int8))
        numbers = np.array(self._looks, dtype=np.uint64)[seen]
        groups = [[int(seen[member]) for member in group] for group in near_numbers(numbers, bits)]
        return [group for group in groups if len({self._bytes[p] or -p for p in group}) > 1]

    def _finding(self, kind: Kind, places: Sequence[int], groups: Sequence[Sequence[int]]) -> Finding:
        keys = tuple(self._keys[place] for place in places[:SHOWN])
        named: list[tuple[str, ...]] = []
        room = SHOWN
        for group in groups:
            if room < 2:
                break
            named.append(tuple(self._keys[place] for place in group[:room]))
            room -= len(group)
        return Finding(kind.id, kind.title, kind.severity, kind.text, len(places), keys, tuple(named))

    def _frequent_fragments(self) -> list[Finding]:
        meant = [split_words(text) for text in (self._wording.prefix, self._wording.trigger, self._wording.suffix)]
        captions = max(1, self._fragments.captions)
        return [
            Finding(
                f"fragment_{number}",
                f"\u201c{fragment}\u201d in {count / captions:.0%} of captions",
                "note",
                "A model takes words that stand everywhere for part of everything; take them out with a strip list, "
                "unless they are meant.",
                count,
                fragment=fragment,
            )
            for number, (fragment, count) in enumerate(self._fragments.frequent(meant), start=1)
        ]

    def _ids(self, places: dict[str, list[int]]) -> dict[tuple[int, str], tuple[str, ...]]:
        ids: dict[tuple[int, str], tuple[str, ...]] = {}
        for kind in KINDS:
            for place in places.get(kind.id, ()):
                name = self._sources[place], self._keys[place]
                ids[name] = (*ids.get(name, ()), kind.id)
        return ids


def _told(record: Record, wording: CaptionRules) -> list[str]:
    """The findings that one record alone is enough for."""
    caption, flags = record.caption, record.flags
    limit = wording.token_limit
    told = {
        "review": "review" in flags,
        "empty_caption": not caption.strip() or "empty_caption" in flags,
        "over_limit": "over_limit" in flags or 0 < limit < record.tokens,
        "missing_trigger": "missing_trigger" in flags or bool(wording.trigger and not holds(caption, wording.trigger)),
        "missing_word": "missing_word" in flags or not all(holds(caption, word) for word in wording.required),
        "forbidden_word": "forbidden_word" in flags or any(holds(caption, word) for word in wording.forbidden),
        "repeats": "repeats" in flags or bool(repeated(caption)),
        "animated": "animated" in flags,
    }
    return [kind for kind, is_so in told.items() if is_so]


def _number(text: str) -> int:
    """64 bits that stand for a text; 0 for none."""
    if not text:
        return 0
    return int.from_bytes(hashlib.blake2b(text.encode("utf-8", "surrogatepass"), digest_size=8).digest()) or 1


def _groups(numbers: array[int]) -> list[list[int]]:
    values = np.array(numbers, dtype=np.uint64)
    return [group for group in equal_groups(values) if numbers[group[0]]]


def _stem(key: str) -> str:
    """The key without its ending: `a/b.c.jpg` -> `a/b.c`."""
    stem, _, ending = key.rpartition(".")
    return key if "/" in ending or not stem or stem.endswith("/") else stem


def _folded(text: str) -> str:
    """As a file system compares names that knows neither case nor how accents are written (Windows, macOS)."""
    return unicodedata.normalize("NFC", unicodedata.normalize("NFC", text).casefold())


def _summary(scores: array[float]) -> ScoreSummary:
    values: npt.NDArray[np.float64] = np.frombuffer(scores)  # [n]
    fifth, median = (float(value) for value in np.percentile(values, [LOW_PERCENTILE, 50]))
    return ScoreSummary(
        len(values), float(values.mean()), float(values.std()), float(values.min()), fifth, median, float(values.max())
    )
