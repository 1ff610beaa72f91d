"""Captioning whole datasets: sources in, captions where a trainer looks for them, and a report to look at."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from .counting import count_tokens
from .finishing import Summary
from .processes import work_in_processes
from .records import Item, Record
from .running import Run
from .settings import QUALITIES, Settings
from .words import Wording

if TYPE_CHECKING:
    from .captioning import Models

__all__ = [
    "QUALITIES",
    "Item",
    "Models",
    "Record",
    "Run",
    "Settings",
    "Summary",
    "Wording",
    "count_tokens",
    "work_in_processes",
]


def __getattr__(name: str) -> Any:
    if name == "Models":  # brings in torch, which a finished run does without
        from .captioning import Models

        return Models
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
