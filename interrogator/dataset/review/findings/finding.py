"""What was found, as tables and pages take it."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict, dataclass, field
from typing import Any, Literal

SHOWN = 200
"""Keys, and groups of keys, that a finding names at most, though it counts all; tags that are counted for people."""

Severity = Literal["error", "warning", "note"]
"""error: captions are missing or would overwrite each other; warning: training suffers; note: worth a look."""


@dataclass(frozen=True)
class Finding:
    """One thing about some pictures of a run.

    Attributes:
        id: what names it in tables: `duplicate_captions`.
        title: a few words.
        severity: see `Severity`.
        text: one sentence: what it means and what to do.
        count: how many pictures it is about.
        keys: of the first of them, `SHOWN` at most; none of a fragment, which nearly all captions have.
        groups: those of them that belong together, at most `SHOWN` keys in all; () where each stands for itself.
        fragment: the words that stand in so many captions, casefolded; "" for all other findings.
    """

    id: str
    title: str
    severity: Severity
    text: str
    count: int
    keys: tuple[str, ...] = ()
    groups: tuple[tuple[str, ...], ...] = ()
    fragment: str = ""


@dataclass(frozen=True)
class ScoreSummary:
    """How the scores of one name are spread."""

    count: int
    mean: float
    deviation: float
    lowest: float
    fifth_percentile: float
    median: float
    highest: float


@dataclass(frozen=True)
class TagCount:
    """How many pictures have a tag."""

    text: str
    category: str
    count: int


@dataclass(frozen=True)
class Findings:
    """All that was found in a run.

    Attributes:
        total: records in all.
        statuses: how many have which status, all three.
        reasons: why pictures failed, and how many of each, the most first; numbers in them are those of one example.
        scores: by name.
        found: the findings that are about any picture, the gravest first.
        ids: from the source and key of a record to the ids of the findings about it, fragments aside; only where there
            are any.
        tags: the most frequent first, `SHOWN` at most; pictures that failed do not count.
    """

    total: int
    statuses: Mapping[str, int]
    reasons: Mapping[str, int]
    scores: Mapping[str, ScoreSummary]
    found: tuple[Finding, ...]
    ids: Mapping[tuple[int, str], tuple[str, ...]] = field(default_factory=dict, repr=False)
    tags: tuple[TagCount, ...] = ()

    def as_dict(self) -> dict[str, Any]:
        """What summary.json holds: all but `ids`, which grows with the run."""
        return {
            "total": self.total,
            "statuses": dict(self.statuses),
            "reasons": dict(self.reasons),
            "tags": [asdict(tag) for tag in self.tags],
            "scores": {name: asdict(summary) for name, summary in self.scores.items()},
            "findings": [asdict(finding) for finding in self.found],
        }
