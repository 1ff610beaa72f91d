"""Small cartoon creatures with known captions, and two tiny models that know them.

Importing this loads neither torch nor Pillow; `creature` comes from `demo.creatures` when it is first asked for.
"""

from __future__ import annotations

from importlib import import_module
from pathlib import Path
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from .attributes import Creature, held_out, parse_caption
    from .creatures import creature, picture

CAPTIONER_DIR = Path(__file__).parent / "captioner"
"""A BLIP in the layout of a hub repository, for transformers."""

ENCODER_DIR = Path(__file__).parent / "encoder"
"""A CLIP for `open_clip.create_model_and_transforms(f"local-dir:{ENCODER_DIR}")`."""

BANKS_DIR = Path(__file__).parent / "banks"
"""Phrase lists about the creatures, one file a bank."""

__all__ = [
    "BANKS_DIR",
    "CAPTIONER_DIR",
    "ENCODER_DIR",
    "Creature",
    "creature",
    "held_out",
    "parse_caption",
    "picture",
]

_HOMES = {
    "Creature": ".attributes",
    "held_out": ".attributes",
    "parse_caption": ".attributes",
    "creature": ".creatures",
    "picture": ".creatures",
}


def __getattr__(name: str) -> Any:
    """Resolve a public name on first use (PEP 562)."""
    if name not in _HOMES:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    return getattr(import_module(_HOMES[name], __name__), name)


def __dir__() -> list[str]:
    return sorted({*globals(), *__all__})
