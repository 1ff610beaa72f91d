"""The known taggers: sizes, licences and thresholds from their cards."""

from __future__ import annotations

from .demo import DEMO_FOLDER, DEMO_USE
from .kinds import KnownModel
from .licences import MIT

_APACHE = "Apache-2.0"
_GPL = "GPL-3.0"
_ANIME = "anime pictures, Danbooru's tags"
_EACH = f"{_ANIME}, a threshold each"


def _wd(name: str, architecture: str, size_mb: int, threshold: float, use: str) -> KnownModel:
    """A tagger of SmilingWolf. threshold: for general tags, where precision equals recall by its card."""
    source = f"SmilingWolf/{name}"
    return KnownModel(
        source, "tagger", "wd-tagger", architecture, source, size_mb, _APACHE, use,
        thresholds={"general": threshold, "character": 0.85},
    )  # fmt: skip


def _anime_timm(name: str, architecture: str, size_mb: int, use: str) -> KnownModel:
    """A tagger of animetimm, whose own files hold a threshold for each tag."""
    source = f"animetimm/{name}"
    return KnownModel(source, "tagger", "wd-tagger", architecture, source, size_mb, _GPL, use, gated=True)


WD_EVA02_LARGE = "SmilingWolf/wd-eva02-large-tagger-v3"

TAGGERS: tuple[KnownModel, ...] = (
    _wd(WD_EVA02_LARGE.partition("/")[2], "EVA02-L/14", 1_260, 0.5296, f"{_ANIME}; the best of its series"),
    _wd("wd-vit-large-tagger-v3", "ViT-L/16", 1_260, 0.2606, f"{_ANIME}; large"),
    _wd("wd-vit-tagger-v3", "ViT-B/16", 380, 0.2614, f"{_ANIME}; small and quick"),
    _wd("wd-swinv2-tagger-v3", "SwinV2-B", 400, 0.2653, f"{_ANIME}; small"),
    _wd("wd-convnext-tagger-v3", "ConvNeXt-B", 400, 0.2682, f"{_ANIME}; small"),
    _wd("wd-v1-4-moat-tagger-v2", "MOAT", 330, 0.3771, f"{_ANIME} up to 2022"),
    _wd("wd-v1-4-swinv2-tagger-v2", "SwinV2-B", 390, 0.3771, f"{_ANIME} up to 2022"),
    _wd("wd-v1-4-convnextv2-tagger-v2", "ConvNeXtV2-B", 390, 0.3710, f"{_ANIME} up to 2022"),
    _wd("wd-v1-4-convnext-tagger-v2", "ConvNeXt-B", 390, 0.3685, f"{_ANIME} up to 2022"),
    _wd("wd-v1-4-vit-tagger-v2", "ViT-B/16", 370, 0.3537, f"{_ANIME} up to 2022"),
    KnownModel(
        "deepghs/pixai-tagger-v0.9-onnx", "tagger", "wd-tagger", "EVA02-L/14", "deepghs/pixai-tagger-v0.9-onnx",
        1_271, _APACHE, f"{_ANIME}, newer characters and the series they are from",
        thresholds={"general": 0.3, "character": 0.85},
    ),
    KnownModel(
        "cella110n/cl_tagger/cl_tagger_1_02", "tagger", "cl-tagger", "EVA02-L/14", "cella110n/cl_tagger",
        1_300, _APACHE, f"{_ANIME}, artists and quality among them", subfolder="cl_tagger_1_02",
    ),
    KnownModel(
        "Camais03/camie-tagger-v2", "tagger", "camie-tagger", "ViT-B/16", "Camais03/camie-tagger-v2",
        789, _GPL, f"{_ANIME}, 70,000 of them",
    ),
    KnownModel(
        "fancyfeast/joytag", "tagger", "joytag", "ViT-B/16", "fancyfeast/joytag",
        366, _APACHE, "photographs and drawings, Danbooru's tags",
    ),
    KnownModel(
        "xinyu1205/recognize-anything-plus-model", "tagger", "ram", "RAM++ Swin-L",
        "xinyu1205/recognize-anything-plus-model", 3_010, _APACHE,
        "photographs, 4,585 English tags, a threshold each; its tag list is not on the hub",
    ),
    _anime_timm("caformer_b36.dbv4-full", "CAFormer-B36", 560, _EACH),
    _anime_timm("convnextv2_huge.dbv4-full", "ConvNeXtV2-H", 2_770, f"{_EACH}; largest"),
    _anime_timm("mobilenetv3_large_150d.dbv4-full", "MobileNetV3-L", 120, f"{_EACH}; tiny"),
    # What the demo was trained and measured in is float32.
    KnownModel(
        "demo", "tagger", "wd-tagger", "tiny TResNet", str(DEMO_FOLDER / "tagger"), 1, MIT, DEMO_USE, dtype="fp32"
    ),
)  # fmt: skip
