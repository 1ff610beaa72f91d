"""Which tags are characters, by what taggers recorded in the runs beside the captions."""

from __future__ import annotations

import json
from collections.abc import Mapping
from pathlib import Path

from ..text.tags import tag_key
from .run_facts import fact_of_run

_CATEGORIES = ("character", "copyright")


def recorded_categories(home: Path, but: Path | None = None) -> dict[str, str]:
    """By `tag_key`, the category of characters and of what they are from, as the records of all runs have it.

    Args:
        home: the folder with the runs.
        but: a run that is left out.

    Raises OSError.
    """
    found: dict[str, str] = {}
    for file in sorted([*home.glob("*/parts/*.jsonl"), *home.glob("*/revision-*/parts/*.jsonl")]):
        if but is not None and but in file.parents:
            continue
        with open(file, "rb") as lines:
            for line in lines:
                if not any(f'"{category}"'.encode() in line for category in _CATEGORIES):
                    continue  # without parsing it
                for text, _, category in json.loads(line).get("tags", ()):
                    if category in _CATEGORIES:
                        found.setdefault(tag_key(text), category)
    return found


def categories_of_run(folder: Path) -> Mapping[str, str]:
    """The categories that a run began with; see `fact_of_run`. Raises OSError."""
    return fact_of_run(folder, "characters", lambda: recorded_categories(folder.parent, folder))
