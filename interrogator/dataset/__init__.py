"""Captioning whole datasets: sources in, captions where a trainer looks for them, and a report to look at."""

from __future__ import annotations

from .records import Item, Record
from .running import Run, Summary
from .settings import QUALITIES, Settings
from .words import Wording

__all__ = ["QUALITIES", "Item", "Record", "Run", "Settings", "Summary", "Wording"]
