"""Tiny random chat checkpoints of every `model_type` that the chat family loads.

`tokenizers` makes their tokenizers, `checkpoints` fills models and writes both file layouts; the other modules hold the
writers. Each writes under a megabyte in about a second, with whatever transformers is installed; a family that it does
not know yet raises ImportError.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from importlib.util import find_spec
from pathlib import Path

from .blip2 import write_blip2_opt, write_blip2_t5, write_instructblip
from .florence import write_florence2
from .gemma import write_gemma3, write_gemma4, write_paligemma
from .idefics import write_idefics3, write_smolvlm
from .internvl import write_internvl
from .llava import write_joycaption, write_llava, write_llava_next, write_llava_onevision, write_llava_siglip
from .others import write_git, write_kosmos2
from .qwen import write_qwen2_5_vl, write_qwen2_vl, write_qwen3_5, write_qwen3_vl

CHAT_WRITERS: Mapping[str, Callable[..., Path]] = {
    "qwen2_5_vl": write_qwen2_5_vl,
    "qwen2_vl": write_qwen2_vl,
    "qwen3_vl": write_qwen3_vl,
    "qwen3_5": write_qwen3_5,
    "llava": write_llava,
    "llava/siglip": write_llava_siglip,
    "llava/joycaption": write_joycaption,
    "llava_next": write_llava_next,
    "llava_onevision": write_llava_onevision,
    "blip-2": write_blip2_opt,
    "blip-2/t5": write_blip2_t5,
    "instructblip": write_instructblip,
    "git": write_git,
    "kosmos-2": write_kosmos2,
    "smolvlm": write_smolvlm,
    "idefics3": write_idefics3,
    "gemma3": write_gemma3,
    "gemma4": write_gemma4,
    "paligemma": write_paligemma,
    "internvl": write_internvl,
    "florence2": write_florence2,
}
"""By `model_type`, or `model_type/variant`, its writer: `write(folder, layout="5", seed=, shards=False)`."""


def known_here(name: str) -> bool:
    """Whether the transformers installed here has the model of a writer."""
    module = name.split("/")[0].replace("-", "_").replace("kosmos_2", "kosmos2")
    return find_spec(f"transformers.models.{module}") is not None


__all__ = ["CHAT_WRITERS", "known_here", "write_florence2"]
