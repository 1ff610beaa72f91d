"""Tables of figures, for the terminal and for pages."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from ..evaluation.bootstrap import Estimate


@dataclass(frozen=True)
class Table:
    """A table; the first column of each row is its name.

    Attributes:
        explained: by column what it says, for a page.
    """

    title: str
    header: Sequence[str]
    rows: Sequence[Sequence[str]]
    explained: Sequence[tuple[str, str]] = ()

    def lines(self) -> list[str]:
        """The table in columns, names to the left and figures to the right."""
        widths = [max(map(len, column)) for column in zip(self.header, *self.rows, strict=True)]
        return [
            "  ".join(f"{cell:{'>' if at else '<'}{widths[at]}}" for at, cell in enumerate(row)).rstrip()
            for row in (self.header, *self.rows)
        ]


def shown(estimate: Estimate | None, digits: int = 3) -> str:
    """A figure with its interval; a dash where there is none. digits: behind the point."""
    if estimate is None:
        return "–"
    return f"{estimate.value:.{digits}f} ({estimate.low:.{digits}f}–{estimate.high:.{digits}f})"
