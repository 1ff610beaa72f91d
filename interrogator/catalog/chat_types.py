"""What `model_type` in `config.json` may be for a model of the family `chat`.

transformers loads more such types; one that is not here is asked for when a folder has it
(`captioners.chat.configuration`).
"""

from __future__ import annotations

CHAT_TYPES: tuple[str, ...] = (
    "qwen2_vl",
    "qwen2_5_vl",
    "qwen3_vl",
    "qwen3_vl_moe",
    "qwen3_5",
    "qwen3_5_moe",
    "llava",
    "llava_next",
    "llava_onevision",
    "smolvlm",
    "idefics3",
    "gemma3",
    "gemma4",
    "internvl",
    "paligemma",
    "blip-2",
    "instructblip",
    "git",
    "kosmos-2",
)
