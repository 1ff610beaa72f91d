"""Loading a model never takes the memory of two: for a checkpoint in several files, and for casts to another dtype."""

from __future__ import annotations

import json
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import timm
import torch

from . import legacy_florence, tiny_taggers
from .tiny_chat import known_here, write_florence2, write_llava
from .tiny_checkpoints import write_blip
from .tiny_ram import tensors, write_ram

ROOT = Path(__file__).parents[2]
MOST = 1.3
"""Times the weights."""

pytestmark = [
    pytest.mark.models,
    pytest.mark.slow,
    pytest.mark.skipif(sys.platform != "linux", reason="reads the memory of a process where Linux has it"),
]


def enlarged(folder: Path, kind: str, change: Callable[[Any], None], dtype: torch.dtype, files: int = 1) -> Path:
    """The weights of a tiny checkpoint of transformers replaced by large ones, in so many files."""
    import transformers

    path = folder / "config.json"
    content = json.loads(path.read_text(encoding="utf-8"))
    change(content)
    path.write_text(json.dumps(content), encoding="utf-8")
    model = getattr(transformers, kind)(transformers.AutoConfig.from_pretrained(folder)).to(dtype)
    for old in folder.glob("*.safetensors*"):
        old.unlink()
    size = sum(parameter.nbytes for parameter in model.parameters())
    model.save_pretrained(folder, max_shard_size=size // files + size // 40 if files > 1 else 2 * size)
    assert len(list(folder.glob("*.safetensors"))) == files
    return folder


def write_large_llava(folder: Path) -> Path:
    def change(config: Any) -> None:
        config["text_config"] |= {
            "hidden_size": 768, "intermediate_size": 3072, "num_hidden_layers": 6, "head_dim": 192
        }  # fmt: skip

    return enlarged(write_llava(folder), "LlavaForConditionalGeneration", change, torch.bfloat16, files=8)


def write_large_florence2(folder: Path) -> Path:
    return enlarged(
        write_florence2(folder), "Florence2ForConditionalGeneration", widen_florence2, torch.float32, files=1
    )


def widen_florence2(config: Any) -> None:
    config["vision_config"]["projection_dim"] = 512
    config["text_config"] |= {
        "d_model": 512, "encoder_layers": 4, "decoder_layers": 4, "num_hidden_layers": 4, "encoder_ffn_dim": 2048,
        "decoder_ffn_dim": 2048,
    }  # fmt: skip


def write_large_legacy_florence2(folder: Path) -> Path:
    with pytest.MonkeyPatch.context() as patch:
        config = {"vision_config": dict(legacy_florence.VISION), "text_config": dict(legacy_florence.TEXT)}
        widen_florence2(config)
        patch.setattr(legacy_florence, "VISION", config["vision_config"])
        patch.setattr(legacy_florence, "TEXT", config["text_config"])
        return legacy_florence.write_legacy_florence2(folder)


def write_large_blip(folder: Path) -> Path:
    def change(config: Any) -> None:
        for part in ("text_config", "vision_config"):
            config[part] |= {"hidden_size": 512, "intermediate_size": 2048, "num_hidden_layers": 4}
        config["text_config"]["encoder_hidden_size"] = 512

    return enlarged(write_blip(folder), "BlipForConditionalGeneration", change, torch.float32)


def write_large_tagger(folder: Path) -> Path:
    arguments = {**tiny_taggers.ARGUMENTS, "embed_dim": 512, "depth": 8}
    tiny_taggers.write_wd_timm(folder)
    model = timm.create_model(tiny_taggers.ARCHITECTURE, num_classes=len(tiny_taggers.ROWS), **arguments)
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(tiny_taggers, "ARGUMENTS", arguments)
        tiny_taggers.write_timm(folder, model.state_dict(), tiny_taggers.HALF, tiny_taggers.HALF)
    return folder


def write_large_ram(folder: Path) -> Path:
    path = write_ram(folder, name="ram_plus_swin_large_14m.pth") / "ram_plus_swin_large_14m.pth"
    state = tensors()
    rows, width = state["label_embed"].shape
    torch.save({"model": {**state, "label_embed": torch.randn(rows * 80_000, width)}}, path)
    return folder


Case = tuple[str, Callable[[Path], Path], Callable[[Path], Path], str, str]
CASES: dict[str, Case] = {
    "8 files in bf16": ("captioner", write_llava, write_large_llava, "bf16", "resident"),
    "8 files, cast": ("captioner", write_llava, write_large_llava, "fp32", "private"),
    "florence2": ("captioner", write_florence2, write_large_florence2, "bf16", "private"),
    "florence2, legacy": (
        "captioner", legacy_florence.write_legacy_florence2, write_large_legacy_florence2, "bf16", "resident",
    ),
    "blip": ("captioner", write_blip, write_large_blip, "bf16", "private"),
    "wd-tagger": ("tagger", tiny_taggers.write_wd_timm, write_large_tagger, "fp32", "resident"),
    "wd-tagger, cast": ("tagger", tiny_taggers.write_wd_timm, write_large_tagger, "bf16", "resident"),
    "ram": ("tagger", write_ram, write_large_ram, "bf16", "private"),
}  # fmt: skip
"""Role, what writes a tiny checkpoint and a large one of about 100 MB, the dtype to load it in, and which peak counts.

Private memory where the library that reads the file keeps it mapped until all is read.
"""


@pytest.mark.parametrize("case", CASES.values(), ids=CASES)
def test_loading_takes_the_memory_of_one_model(case: Case, tmp_path: Path) -> None:
    role, small, large, dtype, counted = case
    if "florence2" in small.__name__ and not known_here("florence2"):
        pytest.skip("needs a newer transformers")
    with torch.no_grad():
        folders = [str(write(tmp_path / name)) for name, write in (("small", small), ("large", large))]
    command = [sys.executable, "-W", "ignore", "-m", "tests.library.loading_memory", role, *folders, dtype]
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    found = json.loads(done.stdout)
    assert found["weights"] > 40_000_000
    assert found[counted] < MOST * found["weights"], found
