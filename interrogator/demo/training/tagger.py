"""Train the tiny tagger: a TResNet that says for each tag whether it is true, in the layout of a WD v3 tagger."""

from __future__ import annotations

import csv
import json
import logging
import time
from collections.abc import Sequence
from pathlib import Path
from typing import Any, cast

import torch
from safetensors.torch import save_file
from torch import Tensor, nn

from ..attributes import COLORS, FEATURES, Creature
from ..tags import GROUPS, TAGS, true_tags
from .classifier import optimizer_of, schedule
from .data import Pictures, batches, moved

LOGGER = logging.getLogger("interrogator")

IMAGE_SIZE = 96
ARCHITECTURE = "tresnet_m"
MODEL_ARGS: dict[str, Any] = {"layers": [2, 1, 1, 1], "width_factor": 0.24}
"""timm's TResNet, of a sixtieth of its size: of the nets tried, it learns most in the same time on a CPU."""


class Head(nn.Module):
    """The logits of all tags, [B, tags], from features [B, D], as long as the model learns.

    That of a feature with its colour, such as `pink_crown`, is the sum of one for the feature and one for the colour:
    all features teach the colours together. Alone, each of the forty pairs would have one picture in fifty.
    """

    def __init__(self, width: int) -> None:
        super().__init__()
        before = sum(len(group) for group in GROUPS[:2])
        self.features = slice(before, before + len(FEATURES))
        self.colors = slice(before + len(GROUPS[2]), before + len(GROUPS[2]) + len(COLORS))
        self.linear = nn.Linear(width, len(TAGS) - len(GROUPS[3]) + len(COLORS))
        self.offset = nn.Parameter(torch.tensor(-5.0))

    def forward(self, features: Tensor) -> Tensor:
        return self._spread(self.linear(features), self.offset)

    def _spread(self, parts: Tensor, offset: Tensor | float) -> Tensor:
        pairs = parts[:, self.features, None] + parts[:, None, self.colors] + offset  # [B, features, colors]
        return torch.cat([parts[:, : self.colors.start], pairs.flatten(1), parts[:, self.colors.stop :]], 1)

    @torch.no_grad()
    def as_linear(self) -> nn.Linear:
        """The layer that gives the same logits."""
        plain = nn.Linear(self.linear.in_features, len(TAGS))
        plain.weight.copy_(self._spread(self.linear.weight.T, 0.0).T)
        plain.bias.copy_(self._spread(self.linear.bias[None], self.offset)[0])
        return plain


def prepare(folder: Path) -> nn.Module:
    """Write config.json and return the untrained model that it describes, with a Head in place of its last layer."""
    import timm

    folder.mkdir(parents=True, exist_ok=True)
    torch.manual_seed(6)
    model = timm.create_model(ARCHITECTURE, pretrained=False, num_classes=len(TAGS), **MODEL_ARGS)
    content = json.dumps(_configuration(model), indent=2) + "\n"
    (folder / "config.json").write_text(content, encoding="utf-8")
    model.head.fc = Head(model.num_features)
    return cast(nn.Module, model)


def _configuration(model: Any) -> dict[str, Any]:
    """config.json in the layout of SmilingWolf's WD taggers, version 3, with this model's sizes."""
    return {
        "architecture": ARCHITECTURE,
        "num_classes": len(TAGS),
        "num_features": model.num_features,
        "global_pool": "fast",
        "model_args": MODEL_ARGS,
        "pretrained_cfg": {
            "custom_load": False,
            "input_size": [3, IMAGE_SIZE, IMAGE_SIZE],
            "fixed_input_size": False,
            "interpolation": "bicubic",
            "crop_pct": 1.0,
            "crop_mode": "center",
            "mean": [0.5, 0.5, 0.5],
            "std": [0.5, 0.5, 0.5],
            "num_classes": len(TAGS),
            "pool_size": None,
            "first_conv": "body.conv1.conv",
            "classifier": "head.fc",
        },
    }


def tag_flags(truths: Sequence[Creature]) -> Tensor:
    """The tags that are true of each picture as 1.0, the others as 0.0: [N, tags]."""
    index = {tag: i for i, tag in enumerate(TAGS)}
    flags = torch.zeros(len(truths), len(TAGS))
    for row, truth in zip(flags, truths, strict=True):
        row[[index[tag] for tag in true_tags(truth)]] = 1.0
    return flags


def pixels_of(pixels: Tensor) -> Tensor:
    """Pixels 0 … 255 [B, 3, H, W] as the WD taggers read them: blue first, -1 … 1."""
    return pixels.float().flip(1) / 127.5 - 1.0


def tag_loss(logits: Tensor, flags: Tensor) -> Tensor:
    """How wrong the logits [B, tags] are, with the flags [B, tags].

    Binary cross entropy of every tag, and cross entropy over each group, of which one tag is true: a ranking is learnt
    sooner than probabilities, and probabilities of rare tags, such as those of feature and colour, last.
    """
    loss = nn.functional.binary_cross_entropy_with_logits(logits, flags, reduction="none").sum(-1).mean()
    sizes = [len(group) for group in GROUPS]
    for part, true in zip(torch.split(logits, sizes, -1), torch.split(flags, sizes, -1), strict=True):
        loss = loss - (true * part.log_softmax(-1)).sum(-1).mean()
    return loss


def train(model: nn.Module, pictures: Pictures, size: int, epochs: float, rate: float, batch: int = 64) -> None:
    """Teach the model which tags are true of the pictures, mirrored, shifted and reduced to `size`."""
    flags = tag_flags(pictures.truths)
    pixels = reduced(pictures.pixels, size)
    model.to(memory_format=torch.channels_last)  # a quarter faster on the CPU
    generator = torch.Generator().manual_seed(7)
    optimizer = optimizer_of((model,), rate)
    total = round(len(flags) * epochs / batch)
    begun = time.monotonic()
    model.train()
    for step, picked in enumerate(batches(len(flags), batch, epochs, generator)):
        for group in optimizer.param_groups:
            group["lr"] = schedule(step, total, rate)
        loss = tag_loss(model(pixels_of(moved(pixels[picked]))), flags[picked])
        optimizer.zero_grad()
        torch.autograd.backward(loss)
        nn.utils.clip_grad_norm_(model.parameters(), 1.0)
        optimizer.step()
        if step % 100 == 0:
            LOGGER.info("tagger %d/%d loss %.4f %.0f s", step, total, loss.item(), time.monotonic() - begun)
    model.eval()


def reduced(pixels: Tensor, size: int) -> Tensor:
    """Pictures uint8 [N, 3, H, W] as [N, 3, size, size]."""
    if pixels.shape[-1] == size:
        return pixels
    resize = nn.functional.interpolate
    return torch.cat([resize(part, (size, size), mode="bicubic", antialias=True) for part in torch.split(pixels, 256)])


def save(model: Any, folder: Path, truths: Sequence[Creature]) -> None:
    """Write the weights as fp16, which timm widens to fp32 when it loads them, and the table of tags.

    `count` in the table is in how many training pictures a tag is true.
    """
    model.head.fc = model.head.fc.as_linear()
    state = {
        name: (tensor.half() if tensor.is_floating_point() else tensor).contiguous()
        for name, tensor in model.state_dict().items()
    }
    aside = folder / "model.safetensors.part"
    save_file(state, aside, metadata={"format": "pt"})
    aside.chmod(0o644)  # safetensors makes files that only their owner can read
    aside.replace(folder / "model.safetensors")
    counts = tag_flags(truths).sum(0).int().tolist()
    with (folder / "selected_tags.csv").open("w", encoding="utf-8", newline="") as file:
        table = csv.writer(file, lineterminator="\n")
        table.writerow(("tag_id", "name", "category", "count"))
        table.writerows((number, tag, 0, counts[number - 1]) for number, tag in enumerate(TAGS, 1))
