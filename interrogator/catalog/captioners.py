"""The known captioners. Sizes are those of the weights on the hub, rounded; licences as the model cards state them."""

from __future__ import annotations

from .demo import DEMO_FOLDER, DEMO_USE
from .kinds import KnownModel, Stored
from .licences import APACHE, BSD, MIT

BLIP_BASE = "Salesforce/blip-image-captioning-base"
BLIP_LARGE = "Salesforce/blip-image-captioning-large"
FLORENCE_LARGE = "florence-community/Florence-2-large"
QWEN3_VL_4B = "Qwen/Qwen3-VL-4B-Instruct"

FP32: Stored = "fp32"
FP16: Stored = "fp16"
BF16: Stored = "bf16"

_FLORENCE = "Florence-2 base", "Florence-2 large"
_PROMPT_GEN = "MiaoshouAI/Florence-2-base-PromptGen-v2.0", "MiaoshouAI/Florence-2-large-PromptGen-v2.0"

FLORENCE2: tuple[KnownModel, ...] = tuple(
    KnownModel(name, "captioner", "florence2", architecture, name, size_mb, MIT, use, stored=stored)
    for name, architecture, size_mb, stored, use in (
        ("florence-community/Florence-2-base", _FLORENCE[0], 460, FP16, "sentences and paragraphs, fast"),
        (FLORENCE_LARGE, _FLORENCE[1], 1_500, FP16, "sentences and paragraphs"),
        ("florence-community/Florence-2-base-ft", _FLORENCE[0], 460, FP16, "tuned on captions that people wrote, fast"),
        # github.com/Blaizzy/mlx-vlm/issues/2123: that copy is reported to fail at <CAPTION>.
        (
            "florence-community/Florence-2-large-ft",
            _FLORENCE[1],
            1_500,
            FP16,
            "tuned; microsoft's copy is the safer one",
        ),
        ("microsoft/Florence-2-large-ft", _FLORENCE[1], 1_500, FP16, "tuned on captions that people wrote"),
        ("microsoft/Florence-2-base", _FLORENCE[0], 460, FP16, "sentences and paragraphs, fast"),
        ("microsoft/Florence-2-large", _FLORENCE[1], 1_500, FP16, "sentences and paragraphs"),
        (_PROMPT_GEN[0], "Florence-2 base PromptGen 2", 1_080, FP32, "tags and prompts for Flux, fast"),
        (_PROMPT_GEN[1], "Florence-2 large PromptGen 2", 3_290, FP32, "tags and prompts for Flux"),
    )
)
"""In the layout of transformers from florence-community, in that of their first code else."""


def _chat(
    name: str, architecture: str, size_mb: int, licence: str, use: str, *, stored: Stored = BF16,
    gated: bool = False, commercial: bool = True,
) -> KnownModel:  # fmt: skip
    return KnownModel(
        name, "captioner", "chat", architecture, name, size_mb, licence, use, stored=stored, gated=gated,
        commercial=commercial,
    )  # fmt: skip


_JOY_CAPTION = "fancyfeast/llama-joycaption-beta-one-hf-llava"
_GEMMA = "Gemma terms"

CHAT: tuple[KnownModel, ...] = (
    _chat(
        "HuggingFaceTB/SmolVLM2-256M-Video-Instruct", "SmolVLM2 256M", 1_030, APACHE,
        "follows questions, smallest; needs the package num2words", stored=FP32,
    ),
    _chat(
        "HuggingFaceTB/SmolVLM2-500M-Video-Instruct", "SmolVLM2 500M", 2_030, APACHE,
        "follows questions, small; needs the package num2words", stored=FP32,
    ),
    _chat(
        "HuggingFaceTB/SmolVLM2-2.2B-Instruct", "SmolVLM2 2.2B", 9_000, APACHE,
        "follows questions; needs the package num2words", stored=FP32,
    ),
    _chat("Qwen/Qwen3-VL-2B-Instruct", "Qwen3-VL 2B", 4_300, APACHE, "follows questions, long captions"),
    _chat(QWEN3_VL_4B, "Qwen3-VL 4B", 8_900, APACHE, "follows questions, long captions"),
    _chat("Qwen/Qwen3-VL-8B-Instruct", "Qwen3-VL 8B", 17_500, APACHE, "follows questions, long captions"),
    _chat(
        "Qwen/Qwen2.5-VL-3B-Instruct", "Qwen2.5-VL 3B", 7_500, "Qwen Research", "follows questions", commercial=False
    ),
    _chat("Qwen/Qwen2.5-VL-7B-Instruct", "Qwen2.5-VL 7B", 16_600, APACHE, "follows questions"),
    _chat(_JOY_CAPTION, "JoyCaption beta one", 17_000, "Llama 3.1 Community", "captions to train image generators on"),
    _chat("Minthy/ToriiGate-0.5", "ToriiGate 0.5", 9_000, APACHE, "anime; ask it tag-grounded"),
    _chat("google/gemma-3-4b-it", "Gemma 3 4B", 8_600, _GEMMA, "follows questions", gated=True),
    _chat("google/paligemma2-3b-mix-448", "PaliGemma 2 3B", 6_100, _GEMMA, "short captions", gated=True),
    _chat("llava-hf/llava-1.5-7b-hf", "LLaVA 1.5 7B", 14_000, "Llama 2 Community", "follows questions", stored=FP16),
    _chat("llava-hf/llava-v1.6-mistral-7b-hf", "LLaVA-Next 7B", 15_000, APACHE, "follows questions", stored=FP16),
    _chat(
        "Salesforce/blip2-opt-2.7b", "BLIP-2 OPT 2.7B", 15_000, "MIT, OPT License", "short captions", stored=FP32,
        commercial=False,
    ),
    _chat("Salesforce/blip2-flan-t5-xl", "BLIP-2 Flan-T5 XL", 15_800, MIT, "short captions, answers", stored=FP32),
    _chat("Salesforce/instructblip-flan-t5-xl", "InstructBLIP", 16_000, MIT, "follows questions", stored=FP32),
    _chat("microsoft/git-base-coco", "GIT base", 700, MIT, "short captions, fast", stored=FP32),
    _chat("microsoft/git-large-coco", "GIT large", 1_600, MIT, "short captions", stored=FP32),
    _chat("microsoft/kosmos-2-patch14-224", "Kosmos-2", 6_700, MIT, "short captions", stored=FP32),
)  # fmt: skip

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
    *CHAT,
)  # fmt: skip
