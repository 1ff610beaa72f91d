"""A tiny random RAM++ in the files of the project: names of tensors as in its own code, and its two lists."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import torch
from safetensors.torch import save_file
from torch import Tensor

TAGS = ["cat", "dog", "red house", "blue", "T-shirt", "evening dress", "tree"]
LIMITS = [0.5, 0.65, 0.8, 0.45, 0.7, 0.9, 0.6]
DESCRIPTIONS, EMBEDDING, WIDTH, INNER = 3, 16, 24, 40
PATCH, WINDOW, STAGE, DEPTHS, HEADS = 4, 3, 8, (1, 1, 2, 1), (1, 2, 2, 4)
SIZE = 96  # one window in the last stage


def tensors(seed: int = 0) -> dict[str, Tensor]:
    """The weights, by the names in `ram_plus_swin_large_14m.pth`."""
    generator = torch.Generator().manual_seed(seed)
    state: dict[str, Tensor] = {}

    def linear(name: str, inputs: int, outputs: int, bias: bool = True) -> None:
        state[f"{name}.weight"] = torch.randn(outputs, inputs, generator=generator) * 1.5 * inputs**-0.5
        if bias:
            state[f"{name}.bias"] = torch.randn(outputs, generator=generator) * 0.1

    def norm(name: str, width: int) -> None:
        state[f"{name}.weight"] = 1 + torch.randn(width, generator=generator) * 0.1
        state[f"{name}.bias"] = torch.randn(width, generator=generator) * 0.1

    trunk, width = "visual_encoder", STAGE
    state[f"{trunk}.patch_embed.proj.weight"] = torch.randn(STAGE, 3, PATCH, PATCH, generator=generator) * 0.3
    state[f"{trunk}.patch_embed.proj.bias"] = torch.randn(STAGE, generator=generator) * 0.1
    norm(f"{trunk}.patch_embed.norm", STAGE)
    for stage, (depth, heads) in enumerate(zip(DEPTHS, HEADS, strict=True)):
        for number in range(depth):
            block = f"{trunk}.layers.{stage}.blocks.{number}"
            norm(f"{block}.norm1", width)
            table = torch.randn((2 * WINDOW - 1) ** 2, heads, generator=generator) * 0.5
            state[f"{block}.attn.relative_position_bias_table"] = table
            linear(f"{block}.attn.qkv", width, 3 * width)
            linear(f"{block}.attn.proj", width, width)
            norm(f"{block}.norm2", width)
            linear(f"{block}.mlp.fc1", width, 4 * width)
            linear(f"{block}.mlp.fc2", 4 * width, width)
        if stage + 1 < len(DEPTHS):
            linear(f"{trunk}.layers.{stage}.downsample.reduction", 4 * width, 2 * width, bias=False)
            norm(f"{trunk}.layers.{stage}.downsample.norm", 4 * width)
            width *= 2
    norm(f"{trunk}.norm", width)
    linear("image_proj", width, EMBEDDING)
    state["label_embed"] = torch.randn(len(TAGS) * DESCRIPTIONS, EMBEDDING, generator=generator)
    state["reweight_scale"] = torch.tensor(1.2)
    linear("wordvec_proj", EMBEDDING, WIDTH)
    for number in range(2):
        layer = f"tagging_head.encoder.layer.{number}"
        linear(f"{layer}.crossattention.self.query", WIDTH, WIDTH)
        linear(f"{layer}.crossattention.self.key", EMBEDDING, WIDTH)
        linear(f"{layer}.crossattention.self.value", EMBEDDING, WIDTH)
        linear(f"{layer}.crossattention.output.dense", WIDTH, WIDTH)
        norm(f"{layer}.crossattention.output.LayerNorm", WIDTH)
        linear(f"{layer}.intermediate.dense", WIDTH, INNER)
        linear(f"{layer}.output.dense", INNER, WIDTH)
        norm(f"{layer}.output.LayerNorm", WIDTH)
    linear("fc", WIDTH, 1)
    return state


def write_ram(folder: Path, seed: int = 0, name: str = "ram_plus_swin_large_14m.safetensors", **more: Any) -> Path:
    """A folder with weights, as safetensors or as the project's checkpoints, and both lists. more: beside `model`."""
    folder.mkdir(parents=True, exist_ok=True)
    if name.endswith(".safetensors"):
        save_file(tensors(seed), folder / name)
    else:
        torch.save({"model": tensors(seed), **more}, folder / name)
    (folder / "ram_tag_list.txt").write_text("\n".join(TAGS), encoding="utf-8")
    (folder / "ram_tag_list_threshold.txt").write_text("".join(f"{limit}\n" for limit in LIMITS), encoding="utf-8")
    return folder
