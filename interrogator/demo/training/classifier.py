"""Plain classification of the six attributes: it checks the pictures and initialises the image tower."""

from __future__ import annotations

import logging
import math
import time
from collections.abc import Callable, Iterable

import torch
from torch import Tensor, nn

from ..attributes import MEDIUMS
from .data import ATTRIBUTES, Pictures, batches, normalized

LOGGER = logging.getLogger("interrogator")

REQUIRED = 0.98
"""The accuracy that a classifier must reach on every attribute before the pictures are used for training."""


class Heads(nn.Module):
    """One linear classifier for each attribute on shared features [B, D]."""

    def __init__(self, width: int) -> None:
        super().__init__()
        self.linear = nn.ModuleList(nn.Linear(width, len(classes)) for classes in ATTRIBUTES.values())

    def forward(self, features: Tensor) -> list[Tensor]:
        """Logits for each attribute, [B, classes]."""
        return [linear(features) for linear in self.linear]


def plain_conv_net(width: int = 192) -> nn.Module:
    """A small conv net, pixels [B, 3, 64, 64] to features [B, width]; it needs fewer pictures than a transformer."""

    def block(inputs: int, outputs: int, stride: int) -> nn.Sequential:
        conv = nn.Conv2d(inputs, outputs, 3, stride, 1, bias=False)
        return nn.Sequential(conv, nn.BatchNorm2d(outputs), nn.ReLU(inplace=True))

    stem = nn.Sequential(nn.Conv2d(3, 32, 4, 4), nn.ReLU(inplace=True))
    body = (block(32, 64, 1), block(64, 96, 2), block(96, 128, 1), block(128, width, 2))
    return nn.Sequential(stem, *body, nn.Flatten(), nn.Linear(16 * width, width), nn.ReLU(inplace=True))


def schedule(step: int, total: int, peak: float, warmup: int = 100) -> float:
    """Linear warm-up, then a cosine down to a hundredth of the peak."""
    if step < warmup:
        return peak * (step + 1) / warmup
    share = (step - warmup) / max(1, total - warmup)
    return peak * (0.01 + 0.99 * 0.5 * (1 + math.cos(math.pi * min(1.0, share))))


def optimizer_of(modules: Iterable[nn.Module], rate: float, decay: float = 0.05) -> torch.optim.AdamW:
    """AdamW that leaves gains, biases and embeddings of one axis undecayed."""
    parameters = [p for module in modules for p in module.parameters() if p.requires_grad]
    groups = [
        {"params": [p for p in parameters if p.ndim > 1], "weight_decay": decay},
        {"params": [p for p in parameters if p.ndim <= 1], "weight_decay": 0.0},
    ]
    return torch.optim.AdamW(groups, lr=rate, betas=(0.9, 0.98))


def attribute_loss(logits: list[Tensor], labels: Tensor) -> Tensor:
    """Sum over attributes of the cross entropy, labels [B, 6]."""
    losses = [nn.functional.cross_entropy(part, labels[:, i]) for i, part in enumerate(logits)]
    return torch.stack(losses).sum()


def fit(
    net: nn.Module,
    heads: Heads,
    pictures: Pictures,
    epochs: float,
    rate: float,
    view: Callable[[Tensor], Tensor],
    batch: int = 64,
) -> None:
    """Train `net` and `heads` on the pictures, each batch passed through `view`."""
    generator = torch.Generator().manual_seed(0)
    optimizer = optimizer_of((net, heads), rate)
    total = round(len(pictures.pixels) * epochs / batch)
    net.train()
    begun = time.monotonic()
    for step, picked in enumerate(batches(len(pictures.pixels), batch, epochs, generator)):
        for group in optimizer.param_groups:
            group["lr"] = schedule(step, total, rate)
        loss = attribute_loss(heads(net(view(pictures.pixels[picked]))), pictures.labels[picked])
        optimizer.zero_grad()
        torch.autograd.backward(loss)
        nn.utils.clip_grad_norm_(net.parameters(), 1.0)
        optimizer.step()
        if step % 100 == 0:
            LOGGER.info("classifier %d/%d loss %.3f %.0f s", step, total, loss.item(), time.monotonic() - begun)
    net.eval()


@torch.inference_mode()
def predictions(net: nn.Module, heads: Heads, pictures: Pictures) -> Tensor:
    """The class each head chooses, [N, 6]."""
    net.eval()
    chosen = []
    for pixels in torch.split(pictures.pixels, 256):
        chosen.append(torch.stack([part.argmax(-1) for part in heads(net(normalized(pixels)))], 1))
    return torch.cat(chosen)


def accuracies(chosen: Tensor, pictures: Pictures) -> dict[str, dict[str, float]]:
    """Accuracy of each attribute, over all pictures (`all`) and within each medium."""
    right = (chosen == pictures.labels).float()
    table: dict[str, dict[str, float]] = {}
    medium_column = list(ATTRIBUTES).index("medium")
    for column, name in enumerate(ATTRIBUTES):
        table[name] = {"all": right[:, column].mean().item()}
        for index, medium in enumerate(MEDIUMS):
            among = pictures.labels[:, medium_column] == index
            table[name][medium] = right[among, column].mean().item()
    return table


def log_accuracies(table: dict[str, dict[str, float]]) -> None:
    """One line for each attribute."""
    for name, row in table.items():
        LOGGER.info("%-14s %s", name, "  ".join(f"{key} {value:.3f}" for key, value in row.items()))


def check(table: dict[str, dict[str, float]]) -> None:
    """Raise RuntimeError where an attribute cannot be read off the pictures well enough."""
    weak = {name: row["all"] for name, row in table.items() if row["all"] < REQUIRED}
    if weak:
        raise RuntimeError(f"a plain classifier stays below {REQUIRED:.0%}; improve the drawing of {weak}")
