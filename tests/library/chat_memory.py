"""The most memory that loading a chat model takes; started by test_chat_files in a process of its own.

    python -m tests.library.chat_memory FOLDER

Writes a LLaVA of some hundred megabytes in bfloat16 and eight files into the folder and loads it. Prints as JSON the
number of files, and by dtype the peak of resident memory above what was resident before, in parts of the weights' size
in that dtype. Linux only.
"""

from __future__ import annotations

import gc
import json
import sys
from pathlib import Path

import torch

from interrogator.captioners.chat.checkpoint import load_chat
from tests.library.tiny_chat import write_llava

SHARDS = 8


def write_large(folder: Path) -> None:
    """A LLaVA with a large text part."""
    from transformers import AutoConfig, LlavaForConditionalGeneration

    write_llava(folder)
    config = AutoConfig.from_pretrained(folder)
    text = config.text_config
    text.hidden_size, text.intermediate_size, text.num_hidden_layers, text.head_dim = 1024, 4096, 8, 256
    torch.set_default_dtype(torch.bfloat16)
    model = LlavaForConditionalGeneration(config)
    torch.set_default_dtype(torch.float32)
    size = sum(parameter.nbytes for parameter in model.parameters())
    (folder / "model.safetensors").unlink()
    model.save_pretrained(folder, max_shard_size=int(size / (SHARDS - 0.5)))


def resident(name: str) -> int:
    """A line of this process's status, in bytes: VmRSS is now, VmHWM the most since the last reset."""
    line = next(line for line in Path("/proc/self/status").read_text().splitlines() if line.startswith(f"{name}:"))
    return int(line.split()[1]) * 1024


def peak(folder: Path, dtype: torch.dtype) -> float:
    """The most memory that loading and reading every weight takes, in parts of the weights in that dtype."""
    gc.collect()
    Path("/proc/self/clear_refs").write_text("5")  # resets VmHWM
    before = resident("VmRSS")
    model, _ = load_chat(folder, torch.device("cpu"), dtype)
    size = 0
    for parameter in model.parameters():
        parameter.view(-1)[:: 1024 // parameter.itemsize].sum()  # one number of each page: mapped files are read late
        size += parameter.nbytes
    return (resident("VmHWM") - before) / size


def main(folder: Path) -> dict[str, float]:
    write_large(folder / "large")
    load_chat(write_llava(folder / "small"), torch.device("cpu"), torch.bfloat16)  # whatever is imported only once
    return {
        "shards": len(list(folder.glob("large/*.safetensors"))),
        "bf16": peak(folder / "large", torch.bfloat16),
        "fp32": peak(folder / "large", torch.float32),
    }


if __name__ == "__main__":
    sys.stdout.write(json.dumps(main(Path(sys.argv[1]))))
