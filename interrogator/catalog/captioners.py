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
    # What the demo was trained and measured in is float32.
    KnownModel(
        "demo", "captioner", "blip", "tiny BLIP", str(DEMO_FOLDER / "captioner"), 2, MIT, DEMO_USE, dtype="fp32"
    ),
)
