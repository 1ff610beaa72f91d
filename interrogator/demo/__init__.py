"""Small cartoon creatures with known captions, and three tiny models trained on them.

creatures   draw a creature and its truth from a seed
attributes  what a creature can be: attributes, caption, held-out combinations
tags        the tagger's tags, and which are true of a creature
shapes      bodies as polygons
features    wings, horns, tail, crown and spots
scene       a creature laid out in picture coordinates
mediums     the eight mediums that paint a scene
train       train the models from scratch
calibrate   calibrate the encoder, for mode precise
measure     accuracy of the models on unseen pictures
tag_figures precision and recall of every tag
training/   the stages of the training

Importing this package loads neither torch nor Pillow; `creature` is imported from `demo.creatures` on first use.
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

TAGGER_DIR = Path(__file__).parent / "tagger"
"""A ConvNet with a table of tags in the layout of SmilingWolf's taggers, version 3, for timm."""

BANKS_DIR = Path(__file__).parent / "banks"
"""Phrase lists about the creatures, one file per bank."""

__all__ = [
    "BANKS_DIR",
    "CAPTIONER_DIR",
    "ENCODER_DIR",
    "TAGGER_DIR",
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
