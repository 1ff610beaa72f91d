"""The vision tower of a chat model, a few pictures at a time.

A batch of eight pictures is more than a hundred tiles for a model that cuts pictures up. On a CPU, as many at once are
no faster but slower, because nothing of a layer stays in the processor's cache, and need gigabytes.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import torch
from torch import Tensor

_CPU_SCORES = 12_000_000  # attention scores in a layer: one tile of SmolVLM, two pictures of LLaVA
_CPU_PIXELS = 1_200_000  # where attention stays in windows: two pictures of Florence-2
_TOWERS = ("vision_tower", "vision_model", "image_encoder")


def read_in_groups(model: Any) -> None:
    """Make the vision tower of a view (see `module_views`) read a few pictures at a time on a CPU.

    Where the tower takes something else than pictures [N, 3, H, W], as Qwen's, it stays as it is.
    """
    if model.get_input_embeddings().weight.device.type != "cpu":
        return
    scores = _scores(model.config)
    owners = {id(owner): owner for owner in (model, getattr(model, "base_model", None)) if owner is not None}
    for owner in owners.values():
        for name in _TOWERS:
            tower = getattr(owner, name, None)
            if isinstance(tower, torch.nn.Module) and "forward" not in vars(tower):
                tower.forward = _grouped(tower.forward, scores)


def _scores(config: Any) -> int:
    """The attention scores of one picture in one layer; 0 where the configuration does not tell."""
    vision = getattr(config, "vision_config", None)
    side, patch, heads = (_number(vision, name) for name in ("image_size", "patch_size", "num_attention_heads"))
    return (side // patch) ** 4 * heads if patch else 0


def _at_once(scores: int, pixels: int) -> int:
    """How many pictures go through the tower at once, by the attention scores and pixels of each."""
    return max(1, _CPU_SCORES // scores if scores else _CPU_PIXELS // max(1, pixels))


def _number(config: Any, name: str) -> int:
    """An entry of a configuration, the first where it is one for each side; 0 where there is none."""
    value = getattr(config, name, None)
    value = value[0] if isinstance(value, (list, tuple)) and value else value
    return value if isinstance(value, int) else 0


def _grouped(forward: Callable[..., Any], scores: int) -> Callable[..., Any]:
    def in_groups(*args: Any, **given: Any) -> Any:
        pixels = args[0] if args else given.get("pixel_values")
        if not isinstance(pixels, Tensor) or pixels.ndim != 4:
            return forward(*args, **given)
        count, few = len(pixels), _at_once(scores, pixels.shape[-2] * pixels.shape[-1])
        if count <= few:
            return forward(*args, **given)
        parts = []
        for start in range(0, count, few):

            def cut(value: Any, start: int = start) -> Any:
                whole = not isinstance(value, Tensor) or not value.ndim or len(value) != count
                return value if whole else value[start : start + few]

            parts.append(forward(*map(cut, args), **{name: cut(value) for name, value in given.items()}))
        return _joined(parts)

    return in_groups


def _joined(parts: Sequence[Any]) -> Any:
    """Outputs of a tower for groups of pictures as one output for all."""
    first = parts[0]
    if isinstance(first, Tensor):
        return torch.cat(list(parts))
    if isinstance(first, dict):  # as the outputs of transformers are
        return type(first)(**{name: _joined([part[name] for part in parts]) for name in first})
    if isinstance(first, (tuple, list)):
        return type(first)(_joined(each) for each in zip(*parts, strict=True))
    return first
