"""Known models and presets as rows. Code asks these tables; nothing branches on a model's name."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from difflib import get_close_matches
from pathlib import Path
from typing import Literal, TypeVar

from .errors import UnknownModelError

DEMO_FOLDER = Path(__file__).parent / "demo"


@dataclass(frozen=True)
class Model:
    """One known model.

    Attributes:
        name: what it is asked for by: a hub id, or `architecture/tag` of open_clip.
        kind: captioner, matcher (says whether a text belongs to an image) or encoder.
        family: the architecture, for people.
        source: the hub repository with its weights.
        size_mb: weights to download, in megabytes (10**6 bytes).
        licence: of the weights.
        use: what it is good for.
        revision: branch, tag or commit of that repository; None is its main branch.
    """

    name: str
    kind: Literal["captioner", "matcher", "encoder"]
    family: str
    source: str
    size_mb: int
    licence: str
    use: str
    revision: str | None = None

    @property
    def size(self) -> str:
        """The size of the weights for a person: `1.9 GB`."""
        return f"{self.size_mb / 1000:.1f} GB"


Asked = TypeVar("Asked")


@dataclass(frozen=True)
class Preset:
    """A named choice of captioner, encoder and banks; `dtype` is what `auto` means for it."""

    name: str
    captioner: str
    encoder: str
    banks: tuple[str, ...]
    use: str
    dtype: str = "auto"

    def dtype_for(self, asked: Asked) -> Asked | str:
        """The number format that was asked for, or what `auto` means for this preset."""
        return self.dtype if asked == "auto" else asked


_BLIP_BASE = "Salesforce/blip-image-captioning-base"
_BLIP_LARGE = "Salesforce/blip-image-captioning-large"
_BLIP_ITM_BASE = "Salesforce/blip-itm-base-coco"
_BLIP_ITM_LARGE = "Salesforce/blip-itm-large-coco"

# Sizes are those of the safetensors files on the hub, rounded; licences as the model cards state them.
MODELS = (
    Model(_BLIP_BASE, "captioner", "BLIP base", _BLIP_BASE, 990, "BSD-3-Clause", "captions, fast"),
    Model(_BLIP_LARGE, "captioner", "BLIP large", _BLIP_LARGE, 1_880, "BSD-3-Clause", "captions, better"),
    Model(_BLIP_ITM_BASE, "matcher", "BLIP ITM base", _BLIP_ITM_BASE, 895, "BSD-3-Clause", "filters captions, fast"),
    Model(_BLIP_ITM_LARGE, "matcher", "BLIP ITM large", _BLIP_ITM_LARGE, 1_780, "BSD-3-Clause", "filters captions"),
    Model(
        "ViT-B-32/laion2b_s34b_b79k", "encoder", "ViT-B/32", "laion/CLIP-ViT-B-32-laion2B-s34B-b79K", 605, "MIT",
        "small and quick",
    ),
    Model(
        "ViT-L-14/openai", "encoder", "ViT-L/14", "timm/vit_large_patch14_clip_224.openai", 1_710, "MIT",
        "Stable Diffusion 1.x",
    ),
    Model(
        "ViT-H-14/laion2b_s32b_b79k", "encoder", "ViT-H/14", "laion/CLIP-ViT-H-14-laion2B-s32B-b79K", 3_940, "MIT",
        "Stable Diffusion 2.x",
    ),
    Model(
        "ViT-bigG-14/laion2b_s39b_b160k", "encoder", "ViT-bigG/14", "laion/CLIP-ViT-bigG-14-laion2B-39B-b160k",
        10_160, "MIT", "Stable Diffusion XL",
    ),
)  # fmt: skip

_ALL_BANKS = ("all",)

PRESETS = (
    Preset(
        "demo",
        str(DEMO_FOLDER / "captioner"),
        f"local-dir:{DEMO_FOLDER / 'encoder'}",
        (str(DEMO_FOLDER / "banks"),),
        "the tiny models in the package; they know cartoon creatures only",
        dtype="fp32",  # what it was trained and measured in
    ),
    Preset("small", _BLIP_BASE, "ViT-B-32/laion2b_s34b_b79k", _ALL_BANKS, "small and quick"),
    Preset("sd15", _BLIP_LARGE, "ViT-L-14/openai", _ALL_BANKS, "Stable Diffusion 1.x"),
    Preset("sd21", _BLIP_LARGE, "ViT-H-14/laion2b_s32b_b79k", _ALL_BANKS, "Stable Diffusion 2.x"),
    Preset("sdxl", _BLIP_LARGE, "ViT-bigG-14/laion2b_s39b_b160k", _ALL_BANKS, "Stable Diffusion XL"),
)


def preset(name: str) -> Preset:
    """The preset of this name.

    Raises:
        UnknownModelError: there is none; lists those there are.
    """
    for row in PRESETS:
        if row.name == name:
            return row
    raise UnknownModelError(unknown("preset", name, [row.name for row in PRESETS]))


def known_model(name: str) -> Model | None:
    """The catalog's row of a model, or None where the catalog does not know it (it may load all the same)."""
    return next((row for row in MODELS if row.name == name), None)


def unknown(what: str, name: str, known: Iterable[str]) -> str:
    """A sentence that says a name is not known and which known names are near it."""
    known = list(known)
    near = get_close_matches(name, known, n=4, cutoff=0.5) or known[:12]
    return f"no {what} is called {name!r}; there is {', '.join(near)}"
