"""Tiny random taggers in the files of the hub, for timm and as ONNX: the same Vision Transformer in both."""

from __future__ import annotations

import csv
import json
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import onnx
import timm
import torch
from onnx import TensorProto, helper, numpy_helper
from safetensors.torch import save_file

SIZE, PATCH, WIDTH, HEADS, DEPTH = 32, 8, 32, 4, 2
ARCHITECTURE = "vit_tiny_patch16_224"
ARGUMENTS: dict[str, Any] = {
    "img_size": SIZE, "patch_size": PATCH, "embed_dim": WIDTH, "depth": DEPTH, "num_heads": HEADS,
    "class_token": False, "global_pool": "avg", "fc_norm": False, "act_layer": "gelu_tanh",
}  # fmt: skip
HALF = [0.5, 0.5, 0.5]
IMAGENET = ([0.485, 0.456, 0.406], [0.229, 0.224, 0.225])
CLIP = ([0.48145466, 0.4578275, 0.40821073], [0.26862954, 0.26130258, 0.27577711])

ROWS: Sequence[tuple[str, int]] = (
    ("general", 9), ("sensitive", 9), ("explicit", 9), ("1girl", 0), ('don\'t_say_"lazy"', 0), ("hatsune_miku", 4),
    ("long_hair", 0), (":d", 0), ("rem_(re:zero)", 4), ("outdoors", 0), ("red_eyes", 0), ("a,_b", 0),
)  # fmt: skip
"""Names and categories, of which the characters do not come last."""

Array = npt.NDArray[np.float32]


def vit(tags: int = len(ROWS), seed: int = 0) -> dict[str, torch.Tensor]:
    """The weights of a tiny Vision Transformer whose answers differ from picture to picture."""
    model = timm.create_model(ARCHITECTURE, num_classes=tags, **ARGUMENTS)
    generator = torch.Generator().manual_seed(seed)
    with torch.no_grad():
        for name, parameter in model.named_parameters():
            if parameter.ndim > 1:
                parameter.normal_(0.0, 0.3 if "head" not in name else 0.8, generator=generator)
            elif name.endswith("bias"):
                # Some tag holds for every picture: a caption without any is refused.
                parameter.normal_(1.5 if "head" in name else 0.0, 0.1, generator=generator)
    return {name: tensor.clone().contiguous() for name, tensor in model.state_dict().items()}


def write_timm(folder: Path, weights: Mapping[str, torch.Tensor], mean: Sequence[float], std: Sequence[float]) -> None:
    """Weights as timm publishes models."""
    folder.mkdir(parents=True, exist_ok=True)
    tags = len(weights["head.bias"])
    config = {
        "architecture": ARCHITECTURE, "num_classes": tags, "num_features": WIDTH, "global_pool": "avg",
        "model_args": ARGUMENTS,
        "pretrained_cfg": {
            "custom_load": False, "input_size": [3, SIZE, SIZE], "fixed_input_size": False, "interpolation": "bicubic",
            "crop_pct": 1.0, "crop_mode": "center", "mean": list(mean), "std": list(std), "num_classes": tags,
            "pool_size": None, "first_conv": None, "classifier": None,
        },
    }  # fmt: skip
    (folder / "config.json").write_text(json.dumps(config), encoding="utf-8")
    save_file(dict(weights), folder / "model.safetensors", metadata={"format": "pt"})


class Graph:
    """An ONNX file being written, node by node."""

    def __init__(self, weights: Mapping[str, torch.Tensor]) -> None:
        self.nodes: list[Any] = []
        self.stored: dict[str, Array] = {name: tensor.float().numpy() for name, tensor in weights.items()}

    def constant(self, value: Any, dtype: Any = np.float32) -> str:
        """The name of a constant."""
        name = f"constant_{len(self.stored)}"
        self.stored[name] = np.asarray(value, dtype=dtype)
        return name

    def node(self, kind: str, *inputs: str, name: str = "", **attributes: Any) -> str:
        """The name of a node's output."""
        output = name or f"{kind}_{len(self.nodes)}"
        self.nodes.append(helper.make_node(kind, list(inputs), [output], **attributes))
        return output

    def linear(self, x: str, name: str) -> str:
        """A linear layer of torch."""
        turned = self.node("Transpose", f"{name}.weight", perm=[1, 0])
        return self.node("Add", self.node("MatMul", x, turned), f"{name}.bias")

    def norm(self, x: str, name: str) -> str:
        """A layer normalisation of timm's ViT."""
        return self.node("LayerNormalization", x, f"{name}.weight", f"{name}.bias", epsilon=1e-6)

    def block(self, x: str, name: str) -> str:
        """A layer of the ViT: [B, L, D] to the same."""
        shape = self.constant([0, 0, 3, HEADS, WIDTH // HEADS], np.int64)
        qkv = self.node("Reshape", self.linear(self.norm(x, f"{name}.norm1"), f"{name}.attn.qkv"), shape)
        parts = self.node("Transpose", qkv, perm=[2, 0, 3, 1, 4])  # [3, B, H, L, D / H]
        q, k, v = (self.node("Gather", parts, self.constant(index, np.int64), axis=0) for index in range(3))
        scores = self.node("MatMul", q, self.node("Transpose", k, perm=[0, 1, 3, 2]))
        scores = self.node("Mul", scores, self.constant((WIDTH // HEADS) ** -0.5))
        mixed = self.node("Transpose", self.node("MatMul", self.node("Softmax", scores, axis=-1), v), perm=[0, 2, 1, 3])
        mixed = self.node("Reshape", mixed, self.constant([0, 0, WIDTH], np.int64))
        x = self.node("Add", x, self.linear(mixed, f"{name}.attn.proj"))
        hidden = self.node("Gelu", self.linear(self.norm(x, f"{name}.norm2"), f"{name}.mlp.fc1"), approximate="tanh")
        return self.node("Add", x, self.linear(hidden, f"{name}.mlp.fc2"))

    def features(self, pixels: str) -> str:
        """The mean of the last layer's patches [B, D] of pixels [B, 3, H, W]."""
        weight, bias = "patch_embed.proj.weight", "patch_embed.proj.bias"
        patches = self.node("Conv", pixels, weight, bias, strides=[PATCH, PATCH])
        flat = self.node("Reshape", patches, self.constant([0, WIDTH, -1], np.int64))
        x = self.node("Add", self.node("Transpose", flat, perm=[0, 2, 1]), "pos_embed")  # [B, L, D]
        for layer in range(DEPTH):
            x = self.block(x, f"blocks.{layer}")
        mean = self.node("ReduceMean", self.norm(x, "norm"), self.constant([1], np.int64), keepdims=0)
        return mean

    def write(self, path: Path, given: Sequence[Any], outputs: Mapping[str, Sequence[Any]], **options: Any) -> None:
        """The file, with one input `input`, of this shape, and outputs by name."""
        used = {name for node in self.nodes for name in node.input}
        tensors = [numpy_helper.from_array(value, name) for name, value in self.stored.items() if name in used]
        graph = helper.make_graph(
            self.nodes,
            "tagger",
            [helper.make_tensor_value_info("input", TensorProto.FLOAT, given)],
            [helper.make_tensor_value_info(name, TensorProto.FLOAT, shape) for name, shape in outputs.items()],
            tensors,
        )
        model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 20)])
        model.ir_version = 9
        path.parent.mkdir(parents=True, exist_ok=True)
        onnx.save_model(model, str(path), **options)


FIRST: Sequence[Any] = ("batch", 3, SIZE, SIZE)
LAST: Sequence[Any] = ("batch", SIZE, SIZE, 3)


def write_logits(path: Path, weights: Mapping[str, torch.Tensor], given: Sequence[Any] = FIRST, **options: Any) -> None:
    """An ONNX file that gives logits of pixels [B, 3, H, W], already scaled, under the name `output`."""
    graph = Graph(weights)
    graph.node("Identity", graph.linear(graph.features("input"), "head"), name="output")
    graph.write(path, given, {"output": [given[0], len(weights["head.bias"])]}, **options)


def write_wd_model(
    path: Path, weights: Mapping[str, torch.Tensor], given: Sequence[Any] = LAST, **options: Any
) -> None:
    """An ONNX file of SmilingWolf: probabilities of pixels [B, H, W, 3] in 0..255."""
    graph = Graph(weights)
    scaled = graph.node("Sub", graph.node("Div", "input", graph.constant(127.5)), graph.constant(1.0))
    pixels = graph.node("Transpose", scaled, perm=[0, 3, 1, 2])
    graph.node("Sigmoid", graph.linear(graph.features(pixels), "head"), name="output")
    graph.write(path, given, {"output": [given[0], len(weights["head.bias"])]}, **options)


def write_described_model(path: Path, weights: Mapping[str, torch.Tensor]) -> None:
    """An ONNX file of deepghs: embedding, logits and probabilities."""
    graph = Graph(weights)
    graph.node("Identity", graph.features("input"), name="embedding")
    graph.node("Identity", graph.linear("embedding", "head"), name="logits")
    graph.node("Sigmoid", "logits", name="prediction")
    tags = len(weights["head.bias"])
    shapes = {"embedding": ["batch", WIDTH], "logits": ["batch", tags], "prediction": ["batch", tags]}
    graph.write(path, FIRST, shapes)


def write_camie_model(path: Path, first: Mapping[str, torch.Tensor], refined: Mapping[str, torch.Tensor]) -> None:
    """An ONNX file of Camie: logits of a first look and refined ones, and the tags that the first look picked."""
    graph = Graph(refined)
    graph.stored |= {f"first.{name}": first[f"head.{name}"].numpy() for name in ("weight", "bias")}
    seen = graph.features("input")
    graph.node("Identity", graph.linear(seen, "first"), name="initial_predictions")
    graph.node("Identity", graph.linear(seen, "head"), name="refined_predictions")
    graph.node("Neg", "initial_predictions", name="selected_candidates")
    tags = ["batch", len(refined["head.bias"])]
    names = ("initial_predictions", "refined_predictions", "selected_candidates")
    graph.write(path, FIRST, dict.fromkeys(names, tags))


def write_table(path: Path, rows: Sequence[tuple[str, int]] = ROWS, **columns: Sequence[Any]) -> Path:
    """`selected_tags.csv`, with further columns by name."""
    path.parent.mkdir(parents=True, exist_ok=True)
    with path.open("w", encoding="utf-8", newline="") as file:
        writer = csv.writer(file)
        writer.writerow(["tag_id", "name", "category", "count", *columns])
        for index, (name, category) in enumerate(rows):
            writer.writerow([1000 + index, name, category, 7, *(values[index] for values in columns.values())])
    return path


def write_json(path: Path, content: Any) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(json.dumps(content), encoding="utf-8")


def write_wd_timm(folder: Path, seed: int = 0) -> Path:
    """A WD v3 tagger without its ONNX file."""
    write_timm(folder, vit(seed=seed), HALF, HALF)
    write_table(folder / "selected_tags.csv")
    return folder


def write_wd_onnx(folder: Path, seed: int = 0, **options: Any) -> Path:
    """A WD v1.4 tagger, or a WD v3 one without its weights for timm."""
    write_wd_model(folder / "model.onnx", vit(seed=seed), **options)
    write_table(folder / "selected_tags.csv")
    return folder


IPS = [["vocaloid"] if name == "hatsune_miku" else ["re:zero", "anime"] if "zero" in name else [] for name, _ in ROWS]


def write_pixai(folder: Path, seed: int = 0) -> Path:
    """PixAI 0.9 as deepghs publishes it."""
    write_described_model(folder / "model.onnx", vit(seed=seed))
    write_table(folder / "selected_tags.csv", ips=[json.dumps(names) for names in IPS])
    categories = [{"category": 0, "name": "general"}, {"category": 4, "name": "character"}]
    write_json(folder / "categories.json", [*categories, {"category": 9, "name": "rating"}])
    lines = ["category,name,alpha,threshold", "0,general,1.0,0.3", "4,character,1.0,0.85", "4,character,2.0,0.5"]
    (folder / "thresholds.csv").write_text("\n".join(lines) + "\n", encoding="utf-8")
    stages = [
        {"type": "resize", "size": [SIZE, SIZE], "interpolation": "bilinear", "max_size": None, "antialias": True},
        {"type": "maybe_to_tensor"},
        {"type": "normalize", "mean": HALF, "std": HALF},
    ]
    write_json(folder / "preprocess.json", {"stages": stages})
    return folder


BEST = [0.9, 0.8, 0.7, 0.41, 0.42, 0.61, 0.43, "", 0.63, 0.44, "nan", 0.45]


def write_anime_timm(folder: Path, seed: int = 0, with_onnx: bool = False) -> Path:
    """A tagger of animetimm."""
    weights = vit(seed=seed)
    write_timm(folder, weights, *IMAGENET)
    if with_onnx:
        write_described_model(folder / "model.onnx", weights)
    write_table(folder / "selected_tags.csv", best_threshold=BEST)
    lines = ["category,name,threshold", "0,general,0.39", "4,character,0.47", "9,rating,0.35"]
    (folder / "thresholds.csv").write_text("\n".join(lines) + "\n", encoding="utf-8")
    steps = [
        {"type": "pad_to_size", "size": [48, 48], "background_color": "white", "interpolation": "bilinear"},
        {"type": "resize", "size": SIZE, "interpolation": "bicubic", "max_size": None, "antialias": True},
        {"type": "center_crop", "size": [SIZE, SIZE]},
        {"type": "maybe_to_tensor"},
        {"type": "normalize", "mean": IMAGENET[0], "std": IMAGENET[1]},
    ]
    write_json(folder / "preprocess.json", {"test": steps, "val": [{"type": "resize", "size": 8}]})
    return folder


CL_WORDS = [
    ("safe", "Rating"), ("1girl", "General"), ("hatsune_miku", "Character"), ("vocaloid", "Copyright"),
    ("wlop", "Artist"), ("highres", "Meta"), ("best quality", "Quality"), ("some model", "Model"),
]  # fmt: skip


def write_cl(folder: Path, seed: int = 0, two_tables: bool = False) -> Path:
    """cl_tagger 1.02; `two_tables` is the other form of its table."""
    write_logits(folder / "model.onnx", vit(len(CL_WORDS), seed))
    table: dict[str, Any] = {str(i): {"tag": tag, "category": category} for i, (tag, category) in enumerate(CL_WORDS)}
    if two_tables:
        table = {"idx_to_tag": {str(i): tag for i, (tag, _) in enumerate(CL_WORDS)}, "tag_to_category": dict(CL_WORDS)}
    write_json(folder / "tag_mapping.json", table)
    return folder


CAMIE_WORDS = [("1girl", "general"), ("hatsune_miku", "character"), ("rating_safe", "rating"), ("year_2020", "year")]


def write_camie(folder: Path, seed: int = 0) -> Path:
    """Camie v2."""
    refined = vit(len(CAMIE_WORDS), seed)
    first = vit(len(CAMIE_WORDS), seed + 1)
    write_camie_model(folder / "camie-tagger-v2.onnx", first, refined)
    tables = {
        "idx_to_tag": {str(index): tag for index, (tag, _) in enumerate(CAMIE_WORDS)},
        "tag_to_category": dict(CAMIE_WORDS),
    }
    content = {"model_info": {"img_size": SIZE}, "dataset_info": {"total_tags": 4, "tag_mapping": tables}}
    write_json(folder / "camie-tagger-v2-metadata.json", content)
    return folder


JOY_WORDS = ["cat", "dog", "blue_sky", "solo"]


def write_joytag(folder: Path, seed: int = 0) -> Path:
    """JoyTag."""
    write_logits(folder / "model.onnx", vit(len(JOY_WORDS), seed))
    (folder / "top_tags.txt").write_text("\n".join(JOY_WORDS) + "\n", encoding="utf-8")
    return folder
