"""What a run was last told to take, and what it left out of its sources then.

RUN/selection.json   {"selection": {"include": […], …}, "left_out": {"masks": {"masks/": 5}, …}}
"""

from __future__ import annotations

import json
from dataclasses import asdict
from pathlib import Path
from typing import Any

from ...files import write_whole
from ..sources.selection import LeftOut, Selection

_FILE = "selection.json"


def keep_selection(run: Path, selection: Selection, left_out: LeftOut) -> bool:
    """Write both down in a run's folder; whether that is any news. Raises OSError."""
    content = {"selection": asdict(selection), "left_out": left_out.as_dict()}
    if _read(run) == json.loads(json.dumps(content)):
        return False
    text = json.dumps(content, indent=1, ensure_ascii=False)
    write_whole(run / _FILE, text.encode("utf-8", "backslashreplace"))
    return True


def kept_selection(run: Path) -> Selection:
    """What the run was told to take; everything where nobody said."""
    values = _read(run).get("selection", {})
    given: dict[str, Any] = {name: tuple(value) if isinstance(value, list) else value for name, value in values.items()}
    return Selection(**given)


def kept_left_out(run: Path) -> LeftOut:
    """What the run left out; nothing where nobody looked."""
    return LeftOut.from_dict(_read(run).get("left_out", {}))


def _read(run: Path) -> dict[str, Any]:
    try:
        content: dict[str, Any] = json.loads((run / _FILE).read_bytes())
    except FileNotFoundError:
        return {}
    return content
