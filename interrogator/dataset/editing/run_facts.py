"""What is found out once for a run of edits, so that all its processes, and those that go on with it, know the same."""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

from ...files import write_whole
from ...locks import exclusive


def fact_of_run(folder: Path, name: str, find: Callable[[], Mapping[str, Any]]) -> dict[str, Any]:
    """A fact of a run; found and written down by the first process that asks, for which the others wait.

    Args:
        folder: of the run.
        name: of the fact, `name.json` in the folder.
        find: finds it, as JSON can hold it.

    Raises OSError, and what `find` raises.
    """
    file = folder / f"{name}.json"
    with exclusive(folder / f"{name}.lock", lambda: None):
        if not file.exists():
            write_whole(file, json.dumps(find()).encode())
    found: dict[str, Any] = json.loads(file.read_bytes())
    return found
