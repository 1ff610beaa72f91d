"""The known captioners. Sizes are those of the weights on the hub, rounded; licences as the model cards state them."""

from __future__ import annotations

from .demo import DEMO_FOLDER, DEMO_USE
from .kinds import KnownModel
from .licences import BSD, MIT

BLIP_BASE = "Salesforce/blip-image-captioning-base"
BLIP_LARGE = "Salesforce/blip-image-captioning-large"

CAPTIONERS: tuple[KnownModel, ...] = (
    KnownModel(BLIP_BASE, "captioner", "blip", "BLIP base", BLIP_BASE, 990, BSD, "captions, fast"),
    KnownModel(BLIP_LARGE, "captioner", "blip", "BLIP large", BLIP_LARGE, 1_880, BSD, "captions, better"),
    KnownModel(
        "coca_ViT-B-32/mscoco_finetuned_laion2b_s13b_b90k", "captioner", "coca", "CoCa ViT-B/32",
        "laion/mscoco_finetuned_CoCa-ViT-B-32-laion2B-s13B-b90k", 1_014, MIT, "captions, fastest",
    ),
    KnownModel(
        "coca_ViT-L-14/mscoco_finetuned_laion2b_s13b_b90k", "captioner", "coca", "CoCa ViT-L/14",
        "laion/mscoco_finetuned_CoCa-ViT-L-14-laion2B-s13B-b90k", 2_554, MIT, "captions in the manner of COCO",
    ),
    # What the demo was trained and measured in is float32.
    KnownModel(
        "demo", "captioner", "blip", "tiny BLIP", str(DEMO_FOLDER / "captioner"), 2, MIT, DEMO_USE, dtype="fp32"
    ),
)  # fmt: skip
