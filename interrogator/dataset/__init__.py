"""Captioning whole datasets: sources in, captions where a trainer looks for them, and a report to look at."""

from __future__ import annotations

from .counting import TOKEN_LIMIT, count_tokens
from .records import Item, Record
from .running import Run, Summary
from .settings import QUALITIES, Settings
from .words import Wording

__all__ = ["QUALITIES", "TOKEN_LIMIT", "Item", "Record", "Run", "Settings", "Summary", "Wording", "count_tokens"]
