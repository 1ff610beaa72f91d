"""The presets: models and banks that go together."""

from __future__ import annotations

from .captioners import BLIP_BASE, BLIP_LARGE
from .demo import DEMO_FOLDER
from .kinds import Preset

DEFAULT_PRESET = "sd15"

_ALL_BANKS = ("all",)

PRESETS: tuple[Preset, ...] = (
    Preset(
        "demo", "demo", "demo", (str(DEMO_FOLDER / "banks"),),
        "the tiny models in the package; they know cartoon creatures only", dtype="fp32", tagger="demo",
    ),
    Preset("small", BLIP_BASE, "ViT-B-32/laion2b_s34b_b79k", _ALL_BANKS, "small and quick"),
    Preset("sd15", BLIP_LARGE, "ViT-L-14/openai", _ALL_BANKS, "Stable Diffusion 1.x"),
    Preset("sd21", BLIP_LARGE, "ViT-H-14/laion2b_s32b_b79k", _ALL_BANKS, "Stable Diffusion 2.x"),
    Preset("sdxl", BLIP_LARGE, "ViT-bigG-14/laion2b_s39b_b160k", _ALL_BANKS, "Stable Diffusion XL"),
)  # fmt: skip
