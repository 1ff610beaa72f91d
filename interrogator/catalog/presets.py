"""The presets: models and banks that go together."""

from __future__ import annotations

from .captioners import BLIP_BASE, BLIP_LARGE, FLORENCE2_LARGE
from .chat_models import QWEN3_VL_4B
from .demo import DEMO_FOLDER
from .kinds import Preset
from .taggers import WD_EVA02_LARGE

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
    Preset(
        "anime", BLIP_LARGE, "ViT-L-14/openai", _ALL_BANKS, "models of anime pictures, which read tags",
        tagger=WD_EVA02_LARGE, mode="tags",
    ),
    Preset("flux", FLORENCE2_LARGE, "ViT-L-14/openai", _ALL_BANKS, "Flux, which reads sentences", mode="caption"),
    Preset(
        "vlm", QWEN3_VL_4B, "ViT-SO400M-16-SigLIP2-384/webli", _ALL_BANKS,
        "sentences of a large model that follows questions", mode="caption",
    ),
)  # fmt: skip
