"""Known captioners of the family `chat`: vision-language models that transformers loads."""

from __future__ import annotations

from .kinds import KnownModel
from .licences import APACHE, MIT

QWEN3_VL_4B = "Qwen/Qwen3-VL-4B-Instruct"

_GEMMA, _LLAMA_3 = "Gemma terms", "Llama 3.1 community licence"
_FOLLOWS = "follows questions"
_SMOL = f"{_FOLLOWS}; needs the package num2words"


def _chat(name: str, architecture: str, size_mb: int, licence: str, use: str = _FOLLOWS) -> KnownModel:
    return KnownModel(name, "captioner", "chat", architecture, name, size_mb, licence, use, stored="bf16")


def _in_fp32(name: str, architecture: str, size_mb: int, licence: str, use: str) -> KnownModel:
    return KnownModel(name, "captioner", "chat", architecture, name, size_mb, licence, use)


CHAT_MODELS: tuple[KnownModel, ...] = (
    _chat("Qwen/Qwen3-VL-2B-Instruct", "Qwen3-VL 2B", 4_300, APACHE),
    _chat(QWEN3_VL_4B, "Qwen3-VL 4B", 8_900, APACHE, f"{_FOLLOWS}; good for its size"),
    _chat("Qwen/Qwen3-VL-8B-Instruct", "Qwen3-VL 8B", 17_500, APACHE),
    KnownModel(
        "Qwen/Qwen2.5-VL-3B-Instruct", "captioner", "chat", "Qwen2.5-VL 3B", "Qwen/Qwen2.5-VL-3B-Instruct", 7_500,
        "Qwen Research", _FOLLOWS, stored="bf16", commercial=False,
    ),
    _chat("Qwen/Qwen2.5-VL-7B-Instruct", "Qwen2.5-VL 7B", 16_600, APACHE),
    _in_fp32("HuggingFaceTB/SmolVLM2-256M-Video-Instruct", "SmolVLM2 256M", 1_000, APACHE, f"{_SMOL}; smallest"),
    _in_fp32("HuggingFaceTB/SmolVLM2-500M-Video-Instruct", "SmolVLM2 500M", 2_000, APACHE, f"{_SMOL}; small"),
    _in_fp32("HuggingFaceTB/SmolVLM2-2.2B-Instruct", "SmolVLM2 2.2B", 9_000, APACHE, _SMOL),
    _chat(
        "fancyfeast/llama-joycaption-beta-one-hf-llava", "LLaVA, Llama 3.1 8B", 17_000, _LLAMA_3,
        "captions and prompts for training image generators",
    ),
    _chat("Minthy/ToriiGate-0.5", "Qwen3.5 4B", 9_000, APACHE, "anime pictures; follows a tagger's tags"),
    KnownModel(
        "google/gemma-3-4b-it", "captioner", "chat", "Gemma 3 4B", "google/gemma-3-4b-it", 8_600, _GEMMA, _FOLLOWS,
        stored="bf16", gated=True,
    ),
    KnownModel(
        "google/paligemma2-3b-ft-docci-448", "captioner", "chat", "PaliGemma 2 3B",
        "google/paligemma2-3b-ft-docci-448", 6_100, _GEMMA, "long sentences", stored="bf16", gated=True,
    ),
    _chat("llava-hf/llava-v1.6-mistral-7b-hf", "LLaVA-Next, Mistral 7B", 15_000, APACHE),
    KnownModel(
        "llava-hf/llava-1.5-7b-hf", "captioner", "chat", "LLaVA 1.5 7B", "llava-hf/llava-1.5-7b-hf", 14_000,
        "Llama 2 Community", _FOLLOWS, stored="fp16",
    ),
    KnownModel(
        "Salesforce/blip2-opt-2.7b", "captioner", "chat", "BLIP-2, OPT 2.7B", "Salesforce/blip2-opt-2.7b", 15_000,
        "MIT, OPT licence", "one sentence", commercial=False,
    ),
    KnownModel(  # T5 overflows in fp16
        "Salesforce/blip2-flan-t5-xl", "captioner", "chat", "BLIP-2, Flan-T5 XL", "Salesforce/blip2-flan-t5-xl",
        15_800, MIT, "one sentence, short answers", dtype="bf16",
    ),
    KnownModel(
        "Salesforce/instructblip-flan-t5-xl", "captioner", "chat", "InstructBLIP, Flan-T5 XL",
        "Salesforce/instructblip-flan-t5-xl", 16_000, MIT, _FOLLOWS, dtype="bf16",
    ),
    _in_fp32("microsoft/git-base-coco", "GIT base", 700, MIT, "one sentence, fast"),
    _in_fp32("microsoft/git-large-coco", "GIT large", 1_600, MIT, "one sentence"),
    _in_fp32("microsoft/kosmos-2-patch14-224", "Kosmos-2", 6_700, MIT, "one sentence"),
)  # fmt: skip
"""Sizes and licences as the model cards state them, rounded."""
