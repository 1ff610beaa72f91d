"""Families, known models and presets as rows: data only. Code asks these tables; nothing branches on a model's name."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from difflib import get_close_matches
from pathlib import Path
from typing import Literal, TypeVar, get_args

from .errors import UnknownModelError
from .hub import FileSet

Role = Literal["captioner", "tagger", "matcher", "encoder"]
ROLES: tuple[Role, ...] = get_args(Role)
"""What a model does for us."""

DEMO_FOLDER = Path(__file__).parent / "demo"


@dataclass(frozen=True)
class Marker:
    """The file by which a folder with a model of some family is recognised.

    Attributes:
        file: a small file that every such folder has.
        model_types: what its `model_type` may be, for JSON files that have one; () accepts any.
    """

    file: str
    model_types: tuple[str, ...] = ()


@dataclass(frozen=True)
class Family:
    """Models that load by the same code.

    Attributes:
        name: `blip`, `open_clip` …
        loads: by role the class that loads it, `module:Class`; a module of this package begins with a dot. The class
            has `from_files(located, device, dtype)`.
        files: what a folder or repository with such a model holds.
        marker: the file by which such a folder is recognised; read before any weights are.
        architectures: by role what `architectures` in `config.json` may name, where the file has that entry.
        finder: `module:function` that finds the parts of a model which one folder does not hold, or that has names
            of its own such as ARCH/TAG. Called as `find(name, folder, checkpoint=, download=, progress=, …)` with
            folder None for a name that is no folder; gives what `Located.parts` holds, or None for a name that it does
            not know.
    """

    name: str
    loads: Mapping[Role, str]
    files: FileSet
    marker: Marker
    architectures: Mapping[Role, tuple[str, ...]] = field(default_factory=dict)
    finder: str = ""


@dataclass(frozen=True)
class KnownModel:
    """One known model.

    Attributes:
        name: the name it loads by: a hub id, or `architecture/tag` of open_clip.
        role: what it does.
        family: the name of its family.
        architecture: for people.
        source: the hub repository, or folder, with its weights.
        size_mb: weights to download, in megabytes (10**6 bytes).
        licence: of the weights.
        use: what it is good for.
        revision: branch, tag or commit of that repository; None is its main branch.
        dtype: what `auto` means for it.
    """

    name: str
    role: Role
    family: str
    architecture: str
    source: str
    size_mb: int
    licence: str
    use: str
    revision: str | None = None
    dtype: str = "auto"

    @property
    def size(self) -> str:
        """The size of the weights for a person: `1.9 GB`."""
        return f"{self.size_mb / 1000:.1f} GB" if self.size_mb >= 100 else f"{self.size_mb} MB"


Asked = TypeVar("Asked")


@dataclass(frozen=True)
class Preset:
    """A named choice of models and banks; `dtype` is what `auto` means for it."""

    name: str
    captioner: str
    encoder: str
    banks: tuple[str, ...]
    use: str
    dtype: str = "auto"
    tagger: str | None = None
    matcher: str | None = None

    def dtype_for(self, asked: Asked) -> Asked | str:
        """The number format that was asked for, or what `auto` means for this preset."""
        return self.dtype if asked == "auto" else asked

    def model(self, role: Role) -> str | None:
        """The name of its model for a role; None where it has none."""
        name: str | None = getattr(self, role)
        return name


FAMILIES: tuple[Family, ...] = (
    Family(
        "blip",
        {"captioner": ".captioners.blip.captioner:BlipCaptioner", "matcher": ".matchers.blip:BlipMatcher"},
        FileSet(
            required=("config.json", "tokenizer_config.json"),
            any_of=(
                ("model.safetensors", "pytorch_model.bin"),
                ("preprocessor_config.json", "processor_config.json"),  # the second is how transformers 5 saves it
                ("tokenizer.json", "vocab.txt"),
            ),
            optional=("special_tokens_map.json", "generation_config.json"),
        ),
        Marker("config.json", ("blip",)),
        {"captioner": ("BlipForConditionalGeneration",), "matcher": ("BlipForImageTextRetrieval",)},
    ),
    Family(
        "open_clip",
        {"encoder": ".encoders.open_clip.encoder:OpenClipEncoder"},
        FileSet(
            # The names of weights on the hub (open_clip/constants.py); what else belongs to a model its finder knows.
            any_of=(("open_clip_model.safetensors", "open_clip_pytorch_model.bin"),),
            optional=(
                "open_clip_config.json",
                "tokenizer.json",
                "sentencepiece.bpe.model",
                "spiece.model",
                "vocab.txt",
                "vocab.json",
                "tokenizer_config.json",
                "special_tokens_map.json",
                "merges.txt",
                "config.json",
            ),
        ),
        Marker("open_clip_config.json"),
        finder=".encoders.open_clip.files:find_parts",
    ),
)

_BLIP_BASE = "Salesforce/blip-image-captioning-base"
_BLIP_LARGE = "Salesforce/blip-image-captioning-large"
_BLIP_ITM_BASE = "Salesforce/blip-itm-base-coco"
_BLIP_ITM_LARGE = "Salesforce/blip-itm-large-coco"
_BSD = "BSD-3-Clause"

# Sizes are those of the safetensors files on the hub, rounded; licences as the model cards state them.
MODELS: tuple[KnownModel, ...] = (
    KnownModel(_BLIP_BASE, "captioner", "blip", "BLIP base", _BLIP_BASE, 990, _BSD, "captions, fast"),
    KnownModel(_BLIP_LARGE, "captioner", "blip", "BLIP large", _BLIP_LARGE, 1_880, _BSD, "captions, better"),
    KnownModel(_BLIP_ITM_BASE, "matcher", "blip", "BLIP ITM base", _BLIP_ITM_BASE, 895, _BSD, "filters captions, fast"),
    KnownModel(_BLIP_ITM_LARGE, "matcher", "blip", "BLIP ITM large", _BLIP_ITM_LARGE, 1_780, _BSD, "filters captions"),
    KnownModel(
        "ViT-B-32/laion2b_s34b_b79k", "encoder", "open_clip", "ViT-B/32", "laion/CLIP-ViT-B-32-laion2B-s34B-b79K",
        605, "MIT", "small and quick",
    ),
    KnownModel(
        "ViT-L-14/openai", "encoder", "open_clip", "ViT-L/14", "timm/vit_large_patch14_clip_224.openai",
        1_710, "MIT", "Stable Diffusion 1.x",
    ),
    KnownModel(
        "ViT-H-14/laion2b_s32b_b79k", "encoder", "open_clip", "ViT-H/14", "laion/CLIP-ViT-H-14-laion2B-s32B-b79K",
        3_940, "MIT", "Stable Diffusion 2.x",
    ),
    KnownModel(
        "ViT-bigG-14/laion2b_s39b_b160k", "encoder", "open_clip", "ViT-bigG/14",
        "laion/CLIP-ViT-bigG-14-laion2B-39B-b160k", 10_160, "MIT", "Stable Diffusion XL",
    ),
    # What the demo was trained and measured in is float32.
    KnownModel(
        "demo", "captioner", "blip", "tiny BLIP", str(DEMO_FOLDER / "captioner"), 2, "MIT",
        "in the package; knows cartoon creatures only", dtype="fp32",
    ),
    KnownModel(
        "demo", "encoder", "open_clip", "tiny ViT", str(DEMO_FOLDER / "encoder"), 4, "MIT",
        "in the package; knows cartoon creatures only", dtype="fp32",
    ),
)  # fmt: skip

_ALL_BANKS = ("all",)
DEFAULT_PRESET = "sd15"

PRESETS: tuple[Preset, ...] = (
    Preset(
        "demo", "demo", "demo", (str(DEMO_FOLDER / "banks"),),
        "the tiny models in the package; they know cartoon creatures only", dtype="fp32",
    ),
    Preset("small", _BLIP_BASE, "ViT-B-32/laion2b_s34b_b79k", _ALL_BANKS, "small and quick"),
    Preset("sd15", _BLIP_LARGE, "ViT-L-14/openai", _ALL_BANKS, "Stable Diffusion 1.x"),
    Preset("sd21", _BLIP_LARGE, "ViT-H-14/laion2b_s32b_b79k", _ALL_BANKS, "Stable Diffusion 2.x"),
    Preset("sdxl", _BLIP_LARGE, "ViT-bigG-14/laion2b_s39b_b160k", _ALL_BANKS, "Stable Diffusion XL"),
)  # fmt: skip


def preset(name: str) -> Preset:
    """The preset of this name.

    Raises:
        UnknownModelError: there is none; lists those there are.
    """
    for row in PRESETS:
        if row.name == name:
            return row
    raise UnknownModelError(f"unknown preset {name!r}; choose from {', '.join(row.name for row in PRESETS)}")


def known_model(role: Role, name: str) -> KnownModel | None:
    """The catalog's row of a model, or None where the catalog does not know it (it may load all the same)."""
    return next((row for row in MODELS if row.role == role and row.name == name), None)


def families(role: Role) -> list[Family]:
    """The families that have this role, in the order in which a folder is tried for them."""
    return [family for family in FAMILIES if role in family.loads]


def unknown(what: str, name: str, known: Iterable[str]) -> str:
    """A sentence about an unknown name, with the known names nearest to it."""
    known = list(known)
    near = get_close_matches(name, known, n=4, cutoff=0.5) or known[:12]
    return f"unknown {what} {name!r}; choose from {', '.join(near)}"
