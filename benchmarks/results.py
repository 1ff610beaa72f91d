"""What a work found, as it is kept between runs: one JSON file for each work, model, device and machine."""

from __future__ import annotations

import hashlib
import json
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any


@dataclass
class Row:
    """A line of the table of results, in words.

    Attributes:
        work: what was run, on what.
        asked: what it should reach at least.
        measured: what it reached, with range and number of pairs.
        reached: whether that is enough; None where nothing was asked.
        dtypes: what the peer and we computed in.
        peaks: peak memory of the peer and of us, in bytes; None where unknown.
    """

    work: str
    asked: str
    measured: str
    reached: bool | None = None
    dtypes: tuple[str, str] | None = None
    peaks: tuple[int | None, int | None] | None = None


@dataclass
class Check:
    """Something that must be so for the numbers to mean anything."""

    text: str
    passed: bool


@dataclass
class Table:
    """A table of its own beside the table of results."""

    title: str
    header: list[str]
    rows: list[list[str]]


@dataclass
class Result:
    """All that one work says.

    Attributes:
        work, model, device: what was run.
        skipped: why it was not; "" where it was.
        notes: sentences about how it was done.
        raw: the numbers behind the words, single times too, which the report leaves out.
        date, machine, versions: added by the command.
    """

    work: str
    model: str
    device: str
    skipped: str = ""
    rows: list[Row] = field(default_factory=list)
    checks: list[Check] = field(default_factory=list)
    notes: list[str] = field(default_factory=list)
    tables: list[Table] = field(default_factory=list)
    raw: dict[str, Any] = field(default_factory=dict)
    date: str = ""
    machine: dict[str, Any] = field(default_factory=dict)
    versions: dict[str, str] = field(default_factory=dict)

    def save(self, folder: Path) -> Path:
        """Keep the result; one of the same work, model, device and machine is replaced."""
        folder.mkdir(parents=True, exist_ok=True)
        machine = hashlib.sha256(json.dumps(self.machine, sort_keys=True).encode()).hexdigest()[:8]
        path = folder / f"{self.work}-{self.model}-{self.device}-{machine}.json"
        path.write_text(json.dumps(asdict(self), indent=1) + "\n", encoding="utf-8")
        return path


def load(path: Path) -> Result:
    """A result as it was saved."""
    fields = json.loads(path.read_text(encoding="utf-8"))
    fields["rows"] = [Row(**row) for row in fields["rows"]]
    fields["checks"] = [Check(**check) for check in fields["checks"]]
    fields["tables"] = [Table(**table) for table in fields["tables"]]
    return Result(**fields)


def load_all(folder: Path) -> list[Result]:
    """All results kept in a folder."""
    return [load(path) for path in sorted(folder.glob("*.json"))]
