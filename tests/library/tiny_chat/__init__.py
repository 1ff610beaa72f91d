"""Tiny random chat checkpoints of every `model_type` that the chat family loads.

`tokenizers` makes their tokenizers, `checkpoints` fills models and writes both file layouts; the other modules hold the
writers. Each writes under a megabyte in about a second, with whatever transformers is installed; a family that it does
not know yet raises ImportError.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from pathlib import Path

from .blip2 import write_blip2_opt, write_blip2_t5, write_instructblip
from .llava import write_joycaption, write_llava, write_llava_next, write_llava_onevision, write_llava_siglip
from .others import write_git
from .qwen import write_qwen2_5_vl

CHAT_WRITERS: Mapping[str, Callable[..., Path]] = {
    "qwen2_5_vl": write_qwen2_5_vl,
    "llava": write_llava,
    "llava/siglip": write_llava_siglip,
    "llava/joycaption": write_joycaption,
    "llava_next": write_llava_next,
    "llava_onevision": write_llava_onevision,
    "blip-2": write_blip2_opt,
    "blip-2/t5": write_blip2_t5,
    "instructblip": write_instructblip,
    "git": write_git,
}
"""By `model_type`, or `model_type/variant`, what writes a checkpoint: `write(folder, layout="5", seed=0, shards=False)`."""
