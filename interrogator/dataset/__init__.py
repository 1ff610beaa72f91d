"""Captioning whole datasets: sources in, captions where a trainer looks for them, and a report to look at."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from .engines.processes import work_in_processes
from .finish import Summary
from .records import Item, Record
from .run import Run
from .settings import Settings
from .text import CaptionRules
from .text.token_count import count_tokens

if TYPE_CHECKING:
    from .captioning.models import Models

__all__ = [
    "Item",
    "Models",
    "Record",
    "Run",
    "Settings",
    "Summary",
    "CaptionRules",
    "count_tokens",
    "work_in_processes",
]


def __getattr__(name: str) -> Any:
    if name == "Models":  # brings in torch, which a finished run does without
        from .captioning.models import Models

        return Models
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
