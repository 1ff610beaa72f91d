"""Captioning whole datasets: sources in, captions where a trainer looks for them, and a report to look at.

Planning, resuming and undoing load no torch; `Models`, which writes captions, does.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from .counting import TOKEN_LIMIT, count_tokens
from .records import Item, Record
from .running import Run, Summary
from .settings import QUALITIES, Settings
from .words import Wording

if TYPE_CHECKING:
    from .captioning import Models

__all__ = [
    "QUALITIES",
    "TOKEN_LIMIT",
    "Item",
    "Models",
    "Record",
    "Run",
    "Settings",
    "Summary",
    "Wording",
    "count_tokens",
]


def __getattr__(name: str) -> Any:
    if name == "Models":
        from .captioning import Models

        return Models
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
