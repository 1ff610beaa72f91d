"""Widgets that several nodes have, and those with keywords that not every ComfyUI knows."""

from __future__ import annotations

import inspect
from typing import Any

from comfy_api.latest import io

FREE = "free"
"""The option of `memory_input` that lets go of the models."""


def advanced(kind: Any, id: str, **given: Any) -> Any:
    """An input that the front end hides until somebody asks for it; shown like any other by ComfyUI before 0.10."""
    known = inspect.signature(kind.__init__).parameters
    return kind(id, **given, **({"advanced": True} if "advanced" in known else {}))


def memory_input() -> Any:
    """Whether the model of a loader stays loaded."""
    return io.Combo.Input("memory", **_memory("The model"))


def preset_memory_input() -> Any:
    """Whether the models of a preset stay loaded."""
    return advanced(io.Combo.Input, "memory", **_memory("What the preset loads"))


def _memory(what: str) -> dict[str, Any]:
    """what: which models, as a sentence begins."""
    return {
        "options": ["keep", FREE], "default": "keep", "optional": True,
        "tooltip": f"keep: {what} stays in memory for the next run; ComfyUI moves it off the device when others need"
        " room. free: it leaves memory as soon as the queue is empty, and the next run that needs it loads it again.",
    }  # fmt: skip
