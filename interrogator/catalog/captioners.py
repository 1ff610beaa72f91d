"""The known captioners. Sizes are those of the weights on the hub, rounded; licences as the model cards state them."""

from __future__ import annotations

from .chat_models import CHAT_MODELS
from .demo import DEMO_FOLDER, DEMO_USE
from .kinds import KnownModel
from .licences import BSD, MIT

BLIP_BASE = "Salesforce/blip-image-captioning-base"
BLIP_LARGE = "Salesforce/blip-image-captioning-large"

FLORENCE2_LARGE = "florence-community/Florence-2-large"

_FLORENCE = "Florence-2 base", "Florence-2 large"
_PROMPT_GEN = "MiaoshouAI/Florence-2-base-PromptGen-v2.0", "MiaoshouAI/Florence-2-large-PromptGen-v2.0"

FLORENCE2: tuple[KnownModel, ...] = tuple(
    KnownModel(
        name,
        "captioner",
        "florence2",
        architecture,
        name,
        size_mb,
        MIT,
        use,
        stored="fp32" if name in _PROMPT_GEN else "fp16",
    )  # fmt: skip
    for name, architecture, size_mb, use in (
        ("florence-community/Florence-2-base", _FLORENCE[0], 460, "sentences and paragraphs, fast"),
        (FLORENCE2_LARGE, _FLORENCE[1], 1_500, "sentences and paragraphs"),
        ("florence-community/Florence-2-base-ft", _FLORENCE[0], 460, "tuned on captions that people wrote, fast"),
        # github.com/Blaizzy/mlx-vlm/issues/2123: that copy is reported to fail at <CAPTION>.
        ("florence-community/Florence-2-large-ft", _FLORENCE[1], 1_500, "tuned; microsoft's copy is the safer one"),
        ("microsoft/Florence-2-large-ft", _FLORENCE[1], 1_500, "tuned on captions that people wrote"),
        ("microsoft/Florence-2-base", _FLORENCE[0], 460, "sentences and paragraphs, fast"),
        ("microsoft/Florence-2-large", _FLORENCE[1], 1_500, "sentences and paragraphs"),
        (_PROMPT_GEN[0], "Florence-2 base PromptGen 2", 1_080, "tags and prompts for Flux, fast"),
        (_PROMPT_GEN[1], "Florence-2 large PromptGen 2", 3_290, "tags and prompts for Flux"),
    )
)
"""In the layout of transformers from florence-community, in that of their first code else."""

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
    *FLORENCE2,
    *CHAT_MODELS,
)  # fmt: skip
