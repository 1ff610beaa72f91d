"""Taggers of the sizes of SmilingWolf/wd-vit-tagger-v3 with random weights, for timm and as ONNX."""

from __future__ import annotations

import csv
import json
import warnings
from pathlib import Path
from typing import Any

import timm
import torch
from safetensors.torch import save_file
from torch import Tensor, nn

_ARCHITECTURE, _TINY = "vit_base_patch16_224", "vit_tiny_patch16_224"
_RATINGS = ("general", "sensitive", "questionable", "explicit")
_HALF = [0.5, 0.5, 0.5]


def tagger(tiny: bool = False) -> tuple[Any, dict[str, Any]]:
    """The timm model, and its `config.json`."""
    side, tags, architecture = (32, 20, _TINY) if tiny else (448, 10_861, _ARCHITECTURE)
    arguments: dict[str, Any] = {
        "img_size": side, "class_token": False, "global_pool": "avg", "fc_norm": False, "act_layer": "gelu_tanh",
    }  # fmt: skip
    if tiny:
        arguments |= {"patch_size": 8, "embed_dim": 32, "depth": 2, "num_heads": 2}
    torch.manual_seed(0)
    model = timm.create_model(architecture, num_classes=tags, **arguments).eval().requires_grad_(False)
    with torch.no_grad():
        model.head.weight.normal_(0.0, 2 * model.head.in_features**-0.5)  # probabilities away from one half
    described = {
        "input_size": [3, side, side], "interpolation": "bicubic", "mean": _HALF, "std": _HALF, "num_classes": tags,
        "crop_pct": 1.0, "crop_mode": "center",
    }  # fmt: skip
    config = {
        "architecture": architecture, "num_classes": tags, "num_features": model.num_features, "global_pool": "avg",
        "model_args": arguments, "pretrained_cfg": described,
    }  # fmt: skip
    return model, config


def write_timm(folder: Path, model: Any, config: dict[str, Any]) -> Path:
    """A WD v3 folder without its ONNX file."""
    folder.mkdir(parents=True)
    (folder / "config.json").write_text(json.dumps(config), encoding="utf-8")
    save_file({name: each.contiguous() for name, each in model.state_dict().items()}, folder / "model.safetensors")
    _write_table(folder, int(config["num_classes"]))
    return folder


def write_onnx(folder: Path, model: Any, config: dict[str, Any]) -> Path:
    """A WD v3 folder with its ONNX file only: pixels [B, H, W, 3] in BGR and 0..255 in, probabilities out."""
    folder.mkdir(parents=True)
    _, side, _ = config["pretrained_cfg"]["input_size"]
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        torch.onnx.export(
            _Served(model), (torch.zeros(2, side, side, 3),), str(folder / "model.onnx"), input_names=["input"],
            output_names=["output"], dynamic_axes={"input": {0: "batch"}, "output": {0: "batch"}}, opset_version=17,
            dynamo=False,
        )  # fmt: skip
    _write_table(folder, int(config["num_classes"]))
    return folder


class _Served(nn.Module):
    """A timm model as the ONNX files of WD taggers have it; all of them read BGR."""

    def __init__(self, model: nn.Module) -> None:
        super().__init__()
        self.model = model

    def forward(self, pixels: Tensor) -> Tensor:
        scaled = pixels.permute(0, 3, 1, 2) / 127.5 - 1  # [B, 3, H, W]
        found: Tensor = self.model(scaled).sigmoid()
        return found


def _write_table(folder: Path, tags: int) -> None:
    with (folder / "selected_tags.csv").open("w", encoding="utf-8", newline="") as file:
        writer = csv.writer(file)
        writer.writerow(["tag_id", "name", "category", "count"])
        for index in range(tags):
            rating = index < len(_RATINGS)
            writer.writerow([index, _RATINGS[index] if rating else f"tag_{index}", 9 if rating else 0, 1])
