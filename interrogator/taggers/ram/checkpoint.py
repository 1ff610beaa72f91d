"""Building RAM++ from a weights file: all sizes come from the shapes of its tensors, and every tensor has to be there.

The names of tensors are those of the project's own code (github.com/xinyu1205/recognize-anything), whose trunk equals
timm's Swin except that it reckons the downsampling between two stages among the first, and timm among the second.
"""

from __future__ import annotations

import re
from math import isqrt
from pathlib import Path

import torch
from torch import nn

from ...errors import ModelLoadError
from .network import HEADS, RamNetwork, Sizes
from .weights import Renamed, Weights, open_weights

_LAYER = "tagging_head.encoder.layer"
_STORED = {
    "descriptions": "label_embed",
    "query": "crossattention.self.query",
    "key": "crossattention.self.key",
    "value": "crossattention.self.value",
    "attended": "crossattention.output.dense",
    "attended_norm": "crossattention.output.LayerNorm",
    "wide": "intermediate.dense",
    "narrow": "output.dense",
    "norm": "output.LayerNorm",
}


def load_network(path: Path, tags: int, dtype: torch.dtype) -> tuple[RamNetwork, int]:
    """The network of a weights file for so many tags, on the CPU, and the side of its images in pixels.

    Raises ModelLoadError: the file is damaged, lacks a tensor, or is for another number of tags.
    """
    weights = Renamed(open_weights(path), "vision_multi.", "tagging_head.")  # as older checkpoints call it
    sizes = sizes_of(path, weights, tags)
    network = RamNetwork(sizes).to(dtype=dtype)
    wanted = {stored_name(name): parameter for name, parameter in network.named_parameters()}
    _check_there(path, weights, wanted)
    with torch.no_grad():
        for name, parameter in wanted.items():
            if weights.shape(name) != tuple(parameter.shape):
                raise ModelLoadError(
                    f"{path} is not a RAM++: {name} is {list(weights.shape(name))}, not {list(parameter.shape)}"
                )
            parameter.copy_(weights.tensor(name))
    return network, sizes.image


def stored_name(name: str) -> str:
    """What a parameter of `RamNetwork` is called in the file."""
    if name.startswith("trunk."):
        name = name.replace("trunk.", "visual_encoder.", 1)
        return re.sub(r"\.layers\.(\d+)\.downsample", lambda found: f".layers.{int(found[1]) - 1}.downsample", name)
    if name.startswith("layers."):
        _, number, part, kind = name.split(".")
        return f"{_LAYER}.{number}.{_STORED[part]}.{kind}"
    return _STORED.get(name, name)


def sizes_of(path: Path, weights: Weights, tags: int) -> Sizes:
    """The shapes of the network of a weights file; reads no values. Raises ModelLoadError: as `load_network`."""
    block, layer = r"visual_encoder\.layers\.(\d+)\.blocks\.(\d+)\.", rf"{re.escape(_LAYER)}\.(\d+)\."
    blocks = {tuple(map(int, found.groups())) for found in (re.match(block, name) for name in weights.names) if found}
    layers = {int(found[1]) for found in (re.match(layer, name) for name in weights.names) if found}
    if not blocks or not layers:
        raise ModelLoadError(f"{path} is not a RAM++: it holds no Swin transformer with a tagging head")
    stages = 1 + max(stage for stage, _ in blocks)
    tables = [f"visual_encoder.layers.{stage}.blocks.0.attn.relative_position_bias_table" for stage in range(stages)]
    patches, words = "visual_encoder.patch_embed.proj.weight", "wordvec_proj.weight"
    inner = f"{_LAYER}.0.intermediate.dense.weight"
    _check_there(path, weights, [*tables, patches, words, inner, "label_embed"])
    embed_dim, _, _, patch = weights.shape(patches)
    width, embedding = weights.shape(words)
    rows, _ = weights.shape("label_embed")
    if rows % tags or width % HEADS:
        raise ModelLoadError(
            f"{path} has {rows} descriptions, which {tags} tags cannot share: the tag list is of another model"
        )
    return Sizes(
        patch=patch, window=(isqrt(weights.shape(tables[0])[0]) + 1) // 2, embed_dim=embed_dim,
        depths=tuple(1 + max(block for stage, block in blocks if stage == each) for each in range(stages)),
        heads=tuple(weights.shape(table)[1] for table in tables), tags=tags, descriptions=rows // tags,
        embedding=embedding, width=width, inner=weights.shape(inner)[0], layers=1 + max(layers),
    )  # fmt: skip


def _check_there(path: Path, weights: Weights, names: list[str] | dict[str, nn.Parameter]) -> None:
    missing = sorted(set(names) - weights.names)
    if missing:
        some = ", ".join(missing[:3]) + (" …" if len(missing) > 3 else "")
        raise ModelLoadError(f"the weights in {path} lack {len(missing)} of the model's tensors: {some}")
