"""The known encoders."""

from __future__ import annotations

from .demo import DEMO_FOLDER, DEMO_USE
from .kinds import KnownModel
from .licences import APACHE, MIT

ENCODERS: tuple[KnownModel, ...] = (
    KnownModel(
        "ViT-B-32/laion2b_s34b_b79k", "encoder", "open_clip", "ViT-B/32", "laion/CLIP-ViT-B-32-laion2B-s34B-b79K",
        605, MIT, "small and quick",
    ),
    KnownModel(
        "ViT-L-14/openai", "encoder", "open_clip", "ViT-L/14", "timm/vit_large_patch14_clip_224.openai",
        1_710, MIT, "Stable Diffusion 1.x",
    ),
    KnownModel(
        "ViT-H-14/laion2b_s32b_b79k", "encoder", "open_clip", "ViT-H/14", "laion/CLIP-ViT-H-14-laion2B-s32B-b79K",
        3_940, MIT, "Stable Diffusion 2.x",
    ),
    KnownModel(
        "ViT-bigG-14/laion2b_s39b_b160k", "encoder", "open_clip", "ViT-bigG/14",
        "laion/CLIP-ViT-bigG-14-laion2B-39B-b160k", 10_160, MIT, "Stable Diffusion XL",
    ),
    KnownModel(
        "ViT-SO400M-16-SigLIP2-384/webli", "encoder", "open_clip", "SigLIP 2 SO400M/16",
        "timm/ViT-SO400M-16-SigLIP2-384", 4_544, APACHE, "ranks well, for no image generator in particular",
    ),
    KnownModel(
        "demo", "encoder", "open_clip", "tiny ViT", str(DEMO_FOLDER / "encoder"), 4, MIT, DEMO_USE, dtype="fp32",
    ),
)  # fmt: skip
