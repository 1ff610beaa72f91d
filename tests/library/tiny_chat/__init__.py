"""Tiny random chat checkpoints of every `model_type` that the chat family loads.

`tokenizers` makes their tokenizers, `checkpoints` fills models and writes both file layouts; the other modules hold the
writers. Each writes under a megabyte in about a second, with whatever transformers is installed; a family that it does
not know yet raises ImportError.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from pathlib import Path

from .qwen import write_qwen2_5_vl

CHAT_WRITERS: Mapping[str, Callable[..., Path]] = {
    "qwen2_5_vl": write_qwen2_5_vl,
}
"""By model type what writes a checkpoint: `write(folder, layout="5" | "4", seed=0, shards=False)`."""
