"""Results of benchmarks, saved between runs: one JSON file for each benchmark, model, device and machine."""

from __future__ import annotations

import hashlib
import json
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any


@dataclass
class Row:
    """A row of the table of results, in words.

    Attributes:
        work: what was run, and on what.
        asked: the target.
        measured: what was measured, with range and number of pairs.
        reached: whether the target was reached; None if there is none.
        dtypes: the dtypes of the peer and of our side.
        peaks: peak memory of the peer and of our side, in bytes; None if unknown.
    """

    work: str
    asked: str
    measured: str
    reached: bool | None = None
    dtypes: tuple[str, str] | None = None
    peaks: tuple[int | None, int | None] | None = None


@dataclass
class Check:
    """A condition without which the numbers mean nothing."""

    text: str
    passed: bool


@dataclass
class Table:
    """A separate table beside the table of results."""

    title: str
    header: list[str]
    rows: list[list[str]]


@dataclass
class Result:
    """The result of one benchmark.

    Attributes:
        work, model, device: what was run.
        skipped: why it was not run; "" if it was.
        notes: sentences about how it was measured.
        raw: the underlying numbers, including single times, which the report omits.
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
        """Save the result, replacing one of the same benchmark, model, device and machine."""
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
    """All results saved in a folder."""
    return [load(path) for path in sorted(folder.glob("*.json"))]
