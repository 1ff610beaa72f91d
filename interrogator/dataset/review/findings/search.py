"""One pass over the records of a run."""

from __future__ import annotations

import hashlib
import math
import re
import unicodedata
from array import array
from collections import Counter
from collections.abc import Callable, Iterable, Sequence

import numpy as np
import numpy.typing as npt

from ...records import Record
from ...text import CaptionRules, holds, repeated, split_words
from ..dhash import NEAR, equal_groups, near_numbers
from .finding import SHOWN, Finding, Findings, ScoreSummary, TagCount
from .fragments import Fragments
from .kinds import KINDS, Kind

LOW_ITM = 0.5
"""Below this probability the matching head says that picture and caption do not belong together (BLIP's CapFilt)."""

LOW_DEVIATIONS = 2.0
LOW_PERCENTILE = 5.0
_REASONS = 50
_STATUSES = ("done", "kept", "failed")


def find(
    records: Iterable[Record], rules: CaptionRules | None = None, near_bits: int = NEAR,
    rules_of: Callable[[Record], CaptionRules] | None = None,
) -> Findings:  # fmt: skip
    """Look through the records of a run, once.

    What is kept of each is its key and some 50 bytes, so a million records take about 200 MB.

    Args:
        rules: of the run: its trigger, required words and token limit are looked for; its prefix and suffix are no
            fragments.
        rules_of: those of one record, where they differ in their trigger.
        near_bits: in how many of 64 bits pictures that look alike may differ.
    """
    search = _Search(rules or CaptionRules(), rules_of)
    for record in records:
        search.add(record)
    return search.findings(near_bits)


class _Search:
    """What is kept of the records that were added; an index is the number of a record."""

    def __init__(self, rules: CaptionRules, rules_of: Callable[[Record], CaptionRules] | None) -> None:
        self._rules = rules
        self._rules_of = rules_of
        self._triggers = {rules.trigger}
        self._keys: list[str] = []
        self._sources = array("l")
        self._statuses = Counter[str]()
        self._reasons = Counter[str]()
        self._examples: dict[str, str] = {}
        self._scores: dict[str, tuple[array[int], array[float]]] = {}
        self._tags = Counter[tuple[str, str]]()
        self._fragments = Fragments()
        self._single: dict[str, list[int]] = {}  # kind -> indices
        # Per record, 0 for nothing: 64 bits each, of which two are equal by chance once in 10^7 runs of a million.
        self._captions = array("Q")
        self._bytes = array("Q")
        self._dhashes = array("Q")
        self._has_dhash = array("b")

    def add(self, record: Record) -> None:
        """Take in one record."""
        index = len(self._keys)
        self._keys.append(record.key)
        self._sources.append(record.source)
        self._statuses[record.status] += 1
        self._bytes.append(_number(record.sha256))
        self._dhashes.append(int(record.dhash or "0", 16))
        self._has_dhash.append(bool(record.dhash))
        words = split_words(record.caption)
        self._captions.append(_number(" ".join(words) or record.caption.strip()))
        if record.status == "failed":
            self._add_reason(record)
            self._note("failed", index)
            return
        for name, score in record.scores.items():
            if math.isfinite(score):
                indices, scores = self._scores.setdefault(name, (array("q"), array("d")))
                indices.append(index)
                scores.append(score)
        self._tags.update((tag.text, tag.category) for tag in record.tags)
        if words:
            self._fragments.add(words)
        rules = self._rules if self._rules_of is None else self._rules_of(record)
        self._triggers.add(rules.trigger)
        for kind in _single_findings(record, rules):
            self._note(kind, index)

    def findings(self, near_bits: int) -> Findings:
        """What they come to."""
        indices = {kind: list(noted) for kind, noted in self._single.items()}
        indices["low_match"] = self._low_matches()
        if "unsupported" in indices:
            evidence = dict(zip(*self._scores.get("evidence", ((), ())), strict=True))
            indices["unsupported"].sort(key=lambda index: evidence.get(index, 1.0))
        groups = {
            "same_stem": self._stems(same_case=True),
            "same_but_case": self._stems(same_case=False),
            "same_picture": _groups(self._bytes),
            "near_pictures": self._near(near_bits),
            "duplicate_captions": _groups(self._captions),
        }
        indices |= {kind: [index for group in found for index in group] for kind, found in groups.items()}
        found = [
            self._finding(kind, indices[kind.id], groups.get(kind.id, [])) for kind in KINDS if indices.get(kind.id)
        ]
        found += self._frequent_fragments()
        return Findings(
            total=len(self._keys),
            statuses={status: self._statuses[status] for status in _STATUSES},
            reasons={self._examples[reason]: count for reason, count in self._reasons.most_common(_REASONS)},
            scores={name: _summary(scores) for name, (_, scores) in sorted(self._scores.items())},
            found=tuple(sorted(found, key=lambda finding: ("error", "warning", "note").index(finding.severity))),
            ids=self._ids(indices),
            tags=tuple(TagCount(*tag, count) for tag, count in self._tags.most_common(SHOWN)),
        )

    def _note(self, kind: str, index: int) -> None:
        self._single.setdefault(kind, []).append(index)

    def _add_reason(self, record: Record) -> None:
        """Count a reason; those that differ in name and numbers only are one."""
        example = record.reason.replace(record.key, "the file") or "unknown reason"
        general = re.sub(r"\d+", "#", example)
        self._reasons[general] += 1
        self._examples.setdefault(general, example)

    def _low_matches(self) -> list[int]:
        low: set[int] = set()
        if "itm" in self._scores:
            indices, scores = self._scores["itm"]
            low.update(index for index, score in zip(indices, scores, strict=True) if score < LOW_ITM)
        if "clip" in self._scores:
            indices, scores = self._scores["clip"]
            values = np.frombuffer(scores)  # [n]
            line = values.mean() - LOW_DEVIATIONS * values.std()
            is_low = (values < np.percentile(values, LOW_PERCENTILE)) & (values < line)
            low.update(np.frombuffer(indices, dtype=np.int64)[is_low].tolist())
        return sorted(low)

    def _stems(self, same_case: bool) -> list[list[int]]:
        """Keys that would share a sidecar: everywhere, or where the file system does not know case."""
        folded = (f"{source}/{_folded(_stem(key))}" for source, key in zip(self._sources, self._keys, strict=True))
        found: list[list[int]] = []
        for group in _groups(array("Q", map(_number, folded))):
            stems = Counter(_stem(self._keys[index]) for index in group)
            if same_case:
                found += [[p for p in group if _stem(self._keys[p]) == stem] for stem, n in stems.items() if n > 1]
            elif len(stems) > 1:
                found.append(group)
        return found

    def _near(self, bits: int) -> list[list[int]]:
        """Groups of pictures that look alike and are not all the same file."""
        hashed = np.flatnonzero(np.array(self._has_dhash, dtype=np.int8))
        numbers = np.array(self._dhashes, dtype=np.uint64)[hashed]
        groups = [[int(hashed[member]) for member in group] for group in near_numbers(numbers, bits)]
        return [group for group in groups if len({self._bytes[p] or -p for p in group}) > 1]

    def _finding(self, kind: Kind, indices: Sequence[int], groups: Sequence[Sequence[int]]) -> Finding:
        keys = tuple(self._keys[index] for index in indices[:SHOWN])
        named: list[tuple[str, ...]] = []
        room = SHOWN
        for group in groups:
            if room < 2:
                break
            named.append(tuple(self._keys[index] for index in group[:room]))
            room -= len(group)
        return Finding(kind.id, kind.title, kind.severity, kind.text, len(indices), keys, tuple(named))

    def _frequent_fragments(self) -> list[Finding]:
        meant = [split_words(text) for text in (self._rules.prefix, *sorted(self._triggers), self._rules.suffix)]
        captions = max(1, self._fragments.captions)
        return [
            Finding(
                f"fragment_{number}",
                f"\u201c{fragment}\u201d in {count / captions:.0%} of captions",
                "note",
                "A model learns words that are in nearly every caption as part of everything. Remove them with a strip "
                "list, unless you want that.",
                count,
                fragment=fragment,
            )
            for number, (fragment, count) in enumerate(self._fragments.frequent(meant), start=1)
        ]

    def _ids(self, indices: dict[str, list[int]]) -> dict[tuple[int, str], tuple[str, ...]]:
        ids: dict[tuple[int, str], tuple[str, ...]] = {}
        for kind in KINDS:
            for index in indices.get(kind.id, ()):
                name = self._sources[index], self._keys[index]
                ids[name] = (*ids.get(name, ()), kind.id)
        return ids


def _single_findings(record: Record, rules: CaptionRules) -> list[str]:
    """The findings that one record alone is enough for."""
    caption, flags = record.caption, record.flags
    limit = rules.token_limit
    applies = {
        "review": "review" in flags,
        "empty_caption": not caption.strip() or "empty_caption" in flags,
        "over_limit": "over_limit" in flags or 0 < limit < record.tokens,
        "missing_trigger": "missing_trigger" in flags or bool(rules.trigger and not holds(caption, rules.trigger)),
        "missing_word": "missing_word" in flags or not all(holds(caption, word) for word in rules.required),
        "forbidden_word": "forbidden_word" in flags or any(holds(caption, word) for word in rules.forbidden),
        "not_utf8": "not_utf8" in flags,
        "byte_order_mark": "byte_order_mark" in flags,
        "several_lines": "several_lines" in flags,
        "unsupported": "unsupported" in flags,
        "repeats": "repeats" in flags or bool(repeated(caption)),
        "looped": "looped" in flags,
        "cut": "cut" in flags,
        "no_phrases": "no_phrases" in flags,
        "uncalibrated": "uncalibrated" in flags,
        "animated": "animated" in flags,
        "blank": "blank" in flags,
        "no_mask": "no_mask" in flags,
        "hidden_pixels": "hidden_pixels" in flags,
    }
    return [kind for kind, is_so in applies.items() if is_so]


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
