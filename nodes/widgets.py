"""Widgets with keywords that not every ComfyUI knows."""

from __future__ import annotations

import inspect
from typing import Any


def advanced(kind: Any, id: str, **given: Any) -> Any:
    """An input that the front end hides until somebody asks for it; shown like any other by ComfyUI before 0.10."""
    known = inspect.signature(kind.__init__).parameters
    return kind(id, **given, **({"advanced": True} if "advanced" in known else {}))
