"""Florence-2 as its first code computed it, restated from the papers and the names of its tensors, to compare with.

DaViT: Ding et al., arXiv 2204.03645. Florence-2: Xiao et al., arXiv 2311.06242. The text part is BART. Modules are
called as in the files of microsoft/Florence-2-*, so `state_dict` of `LegacyFlorence` is such a file.
"""

from __future__ import annotations

import json
import math
from collections import OrderedDict
from collections.abc import Sequence
from pathlib import Path
from typing import Any, Literal

import torch
from PIL import Image
from torch import Tensor, nn

from .tiny_chat.checkpoints import fill
from .tiny_chat.florence import LOUDER, PROMPTGEN, SIDE, TOKENS, florence_tokenizer
from .tiny_chat.tokenizers import word_rows

VISION: dict[str, Any] = {
    "model_type": "davit", "drop_path_rate": 0.1, "patch_size": [7, 3, 3], "patch_stride": [4, 2, 2],
    "patch_padding": [3, 1, 1], "patch_prenorm": [False, True, True], "enable_checkpoint": False,
    "dim_embed": [16, 24, 32], "num_heads": [2, 3, 4], "num_groups": [2, 3, 4], "depths": [1, 1, 2], "window_size": 3,
    "projection_dim": 48,
    "visual_temporal_embedding": {"type": "COSINE", "max_temporal_embeddings": 10},
    "image_pos_embed": {"type": "learned_abs_2d", "max_pos_embeddings": 8},
    "image_feature_source": ["spatial_avg_pool", "temporal_avg_pool"],
}  # fmt: skip
TEXT: dict[str, Any] = {
    "model_type": "florence2_language", "d_model": 48, "encoder_layers": 2, "decoder_layers": 2,
    "num_hidden_layers": 2, "encoder_attention_heads": 4, "decoder_attention_heads": 4, "encoder_ffn_dim": 64,
    "decoder_ffn_dim": 64, "max_position_embeddings": 256, "activation_function": "gelu", "scale_embedding": False,
    "bos_token_id": 0, "pad_token_id": 1, "eos_token_id": 2, "decoder_start_token_id": 2, "forced_bos_token_id": 0,
    "forced_eos_token_id": 2, "no_repeat_ngram_size": 3, "num_beams": 3, "early_stopping": True,
    "is_encoder_decoder": True,
}  # fmt: skip
QUESTIONS = {
    "<CAPTION>": "What does the image describe?",
    "<DETAILED_CAPTION>": "Describe in detail what is shown in the image.",
    "<MORE_DETAILED_CAPTION>": "Describe with a paragraph what is shown in the image.",
    **{task: task for task in PROMPTGEN},
}
EMBEDDINGS = ("shared", "encoder.embed_tokens", "decoder.embed_tokens")


class Patches(nn.Module):
    """A convolution of stride > 1 at the start of a stage, with its norm before or after it."""

    def __init__(self, stage: int) -> None:
        super().__init__()
        wide = VISION["dim_embed"][stage]
        before = 3 if stage == 0 else VISION["dim_embed"][stage - 1]
        self.proj = nn.Conv2d(
            before, wide, VISION["patch_size"][stage], VISION["patch_stride"][stage], VISION["patch_padding"][stage]
        )
        self.first = VISION["patch_prenorm"][stage]
        self.norm = nn.LayerNorm(before if self.first else wide)

    def forward(self, maps: Tensor) -> Tensor:  # [B, H, W, C]
        maps = self.norm(maps) if self.first else maps
        maps = self.proj(maps.permute(0, 3, 1, 2)).permute(0, 2, 3, 1)
        return maps if self.first else self.norm(maps)


class Residual(nn.Module):
    """x + fn(norm(x)), or x + fn(x)."""

    def __init__(self, fn: nn.Module, wide: int = 0) -> None:
        super().__init__()
        self.fn = fn
        if wide:
            self.norm = nn.LayerNorm(wide)

    def forward(self, maps: Tensor) -> Tensor:
        return maps + self.fn(self.norm(maps) if hasattr(self, "norm") else maps)


class Depthwise(nn.Module):
    def __init__(self, wide: int) -> None:
        super().__init__()
        self.dw = nn.Conv2d(wide, wide, 3, padding=1, groups=wide)

    def forward(self, maps: Tensor) -> Tensor:
        return self.dw(maps.permute(0, 3, 1, 2)).permute(0, 2, 3, 1)


class Mlp(nn.Module):
    def __init__(self, wide: int) -> None:
        super().__init__()
        parts = [("fc1", nn.Linear(wide, 4 * wide)), ("act", nn.GELU()), ("fc2", nn.Linear(4 * wide, wide))]
        self.net = nn.Sequential(OrderedDict(parts))

    def forward(self, maps: Tensor) -> Tensor:
        return self.net(maps)


class Attention(nn.Module):
    """Of the positions in windows, or of the channels in groups."""

    def __init__(self, wide: int, parts: int, window: int = 0) -> None:
        super().__init__()
        self.parts, self.window = parts, window
        self.qkv, self.proj = nn.Linear(wide, 3 * wide), nn.Linear(wide, wide)

    def forward(self, maps: Tensor) -> Tensor:
        return self.proj(self._windows(maps) if self.window else self._channels(maps))

    def _windows(self, maps: Tensor) -> Tensor:
        """Each window of the map, filled up with zeros at the right and below, by itself."""
        batch, high, wide, _ = maps.shape
        size = self.window
        maps = nn.functional.pad(maps, (0, 0, 0, -wide % size, 0, -high % size))
        found = torch.zeros_like(maps)
        for top in range(0, maps.shape[1], size):
            for left in range(0, maps.shape[2], size):
                tile = maps[:, top : top + size, left : left + size].flatten(1, 2)  # [B, size², C]
                query, key, value = (
                    each.unflatten(-1, (self.parts, -1)).transpose(1, 2) for each in self.qkv(tile).chunk(3, -1)
                )  # [B, heads, size², c]
                weights = (query @ key.transpose(-1, -2) / math.sqrt(query.shape[-1])).softmax(-1)
                mixed = (weights @ value).transpose(1, 2).flatten(2)
                found[:, top : top + size, left : left + size] = mixed.unflatten(1, (size, size))
        return found[:, :high, :wide]

    def _channels(self, maps: Tensor) -> Tensor:
        """Channels attend to the channels of their group, over all positions."""
        tokens = maps.flatten(1, 2)  # [B, N, C]
        query, key, value = (
            each.unflatten(-1, (self.parts, -1)).permute(0, 2, 3, 1) for each in self.qkv(tokens).chunk(3, -1)
        )  # [B, groups, c, N]
        weights = (query @ key.transpose(-1, -2) / math.sqrt(tokens.shape[1])).softmax(-1)  # [B, groups, c, c]
        return (weights @ value).permute(0, 3, 1, 2).flatten(2).view_as(maps)


class Block(nn.Module):
    def __init__(self, wide: int, heads: int, groups: int) -> None:
        super().__init__()
        self.spatial_block = self._half(wide, "window_attn", Attention(wide, heads, VISION["window_size"]))
        self.channel_block = self._half(wide, "channel_attn", Attention(wide, groups))

    @staticmethod
    def _half(wide: int, name: str, attention: nn.Module) -> nn.Sequential:
        return nn.Sequential(
            OrderedDict(
                [
                    ("conv1", Residual(Depthwise(wide))),
                    (name, Residual(attention, wide)),
                    ("conv2", Residual(Depthwise(wide))),
                    ("ffn", Residual(Mlp(wide), wide)),
                ]
            )
        )

    def forward(self, maps: Tensor) -> Tensor:
        return self.channel_block(self.spatial_block(maps))


class DaViT(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        stages = range(len(VISION["depths"]))
        self.convs = nn.ModuleList(Patches(stage) for stage in stages)
        self.blocks = nn.ModuleList(
            nn.Sequential(
                *(
                    Block(VISION["dim_embed"][stage], VISION["num_heads"][stage], VISION["num_groups"][stage])
                    for _ in range(VISION["depths"][stage])
                )
            )
            for stage in stages
        )

    def forward(self, pixels: Tensor) -> Tensor:
        maps = pixels.permute(0, 2, 3, 1)
        for conv, blocks in zip(self.convs, self.blocks, strict=True):
            maps = blocks(conv(maps))
        return maps  # [B, h, w, C]


class Positions(nn.Module):
    """Learned positions of rows and columns, half of the channels each."""

    def __init__(self, count: int, wide: int) -> None:
        super().__init__()
        self.row_embeddings, self.column_embeddings = nn.Embedding(count, wide // 2), nn.Embedding(count, wide // 2)

    def forward(self, maps: Tensor) -> Tensor:
        _, high, wide, _ = maps.shape
        columns = self.column_embeddings.weight[None, :wide].expand(high, wide, -1)
        rows = self.row_embeddings.weight[:high, None].expand(high, wide, -1)
        return maps + torch.cat([columns, rows], dim=-1)


class FirstFrame(nn.Module):
    """Sines and cosines for the frames of a film; a picture is the first one."""

    def __init__(self, count: int, wide: int) -> None:
        super().__init__()
        rates = torch.exp(-math.log(10_000) * torch.arange(0, wide, 2) / wide)
        angles = torch.arange(count)[:, None] * rates
        self.register_buffer("pos_idx_to_embed", torch.stack([angles.sin(), angles.cos()], dim=-1).flatten(1))


class LegacyFlorence(nn.Module):
    """The whole model, in the names of its first code."""

    def __init__(self, rows: int) -> None:
        super().__init__()
        from transformers import BartConfig, BartForConditionalGeneration

        wide = VISION["dim_embed"][-1]
        self.vision_tower = DaViT()
        self.image_projection = nn.Parameter(torch.empty(wide, VISION["projection_dim"]))
        self.image_proj_norm = nn.LayerNorm(VISION["projection_dim"])
        self.image_pos_embed = Positions(VISION["image_pos_embed"]["max_pos_embeddings"], wide)
        self.visual_temporal_embed = FirstFrame(VISION["visual_temporal_embedding"]["max_temporal_embeddings"], wide)
        text = {name: value for name, value in TEXT.items() if name not in ("model_type", "num_hidden_layers")}
        config = BartConfig(**text, vocab_size=rows, attn_implementation="eager")
        self.language_model = BartForConditionalGeneration(config)

    def get_output_embeddings(self) -> nn.Module:
        return self.language_model.lm_head

    def image_features(self, pixels: Tensor) -> Tensor:
        """What stands in front of the text: the mean of the positions, then each position: [B, 1 + N, D]."""
        maps = self.image_pos_embed(self.vision_tower(pixels)).flatten(1, 2)  # [B, N, C]
        maps = maps + self.visual_temporal_embed.pos_idx_to_embed[0]
        return self.image_proj_norm(torch.cat([maps.mean(1, keepdim=True), maps], dim=1) @ self.image_projection)

    def inputs(self, pixels: Tensor, ids: Tensor) -> Tensor:
        """What the encoder reads."""
        embedded = self.language_model.get_input_embeddings()(ids)
        return torch.cat([self.image_features(pixels), embedded], dim=1)

    def write(self, pixels: Tensor, ids: Tensor, **settings: Any) -> Tensor:
        """Token ids, by the settings that the configuration has for `generate`."""
        given = self.inputs(pixels, ids)
        mask = torch.ones(given.shape[:2], dtype=torch.long)
        ngrams, forced = TEXT["no_repeat_ngram_size"], TEXT["forced_bos_token_id"]
        found: Tensor = self.language_model.generate(
            inputs_embeds=given, attention_mask=mask, do_sample=False, no_repeat_ngram_size=ngrams,
            forced_bos_token_id=forced, **settings,
        )  # fmt: skip
        return found


def legacy_florence(seed: int = 5) -> tuple[LegacyFlorence, Any]:
    """The model, and the tokenizer of its folder, which lacks the tokens that the model's first code adds."""
    tokenizer = florence_tokenizer(image=False)
    model = LegacyFlorence(len(tokenizer) + ADDED)
    fill(model, seed, word_rows(tokenizer), tokenizer.eos_token_id, louder=LOUDER)
    return model, tokenizer


ADDED = 1024
"""Tokens for boxes and tasks, behind those of BART."""


def pixels_of(images: Sequence[Image.Image]) -> Tensor:
    """Pictures squashed, with the mean and deviation of ImageNet: [B, 3, H, W]."""
    from torchvision.transforms.functional import pil_to_tensor

    squashed = [image.convert("RGB").resize((SIDE, SIDE), Image.Resampling.BICUBIC) for image in images]
    pixels = torch.stack([pil_to_tensor(image) for image in squashed]) / 255
    mean, deviation = torch.tensor([0.485, 0.456, 0.406]), torch.tensor([0.229, 0.224, 0.225])
    return (pixels - mean[:, None, None]) / deviation[:, None, None]


def question_ids(tokenizer: Any, task: str, count: int) -> Tensor:
    """The sentence that a task stands for, with start and end, for each image."""
    ids: Tensor = tokenizer([QUESTIONS[task]] * count, return_tensors="pt")["input_ids"]
    return ids


Stored = Literal["all", "shared", "head"]


def write_legacy_florence2(
    folder: Path, seed: int = 5, weights: str = "model.safetensors", stored: Stored = "all", based_on: str = ""
) -> Path:
    """Write the files of microsoft/Florence-2-base: no `processor_config.json`, code of its own in `auto_map`.

    Args:
        weights: the file's name, which says the format.
        stored: under which names the embeddings are in the file, of which the model has one table.
        based_on: what `_name_or_path` says.
    """
    from safetensors.torch import save_file

    folder.mkdir(parents=True, exist_ok=True)
    model, tokenizer = legacy_florence(seed)
    tokenizer.save_pretrained(folder)
    (folder / "tokenizer_config.json").write_text('{"model_max_length": 1024}', encoding="utf-8")
    rows = len(tokenizer) + ADDED
    remote = "modeling_florence2.Florence2ForConditionalGeneration"
    config = {
        "_name_or_path": based_on or "florence2", "architectures": ["Florence2ForConditionalGeneration"],
        "auto_map": {"AutoConfig": "configuration_florence2.Florence2Config", "AutoModelForCausalLM": remote},
        "bos_token_id": 0, "eos_token_id": 2, "pad_token_id": 1, "ignore_index": -100, "model_type": "florence2",
        "projection_dim": 48, "text_config": {**TEXT, "vocab_size": rows}, "vision_config": VISION, "vocab_size": rows,
        "torch_dtype": "float32", "transformers_version": "4.41.0.dev0", "is_encoder_decoder": True,
    }  # fmt: skip
    square = {"height": SIDE, "width": SIDE}
    pixels = {
        "auto_map": {"AutoProcessor": "processing_florence2.Florence2Processor"}, "do_convert_rgb": None,
        "do_normalize": True, "do_rescale": True, "do_resize": True, "do_center_crop": False, "crop_size": square,
        "image_processor_type": "CLIPImageProcessor", "image_seq_length": TOKENS, "resample": 3, "size": square,
        "image_mean": [0.485, 0.456, 0.406], "image_std": [0.229, 0.224, 0.225],
        "processor_class": "Florence2Processor",
    }  # fmt: skip
    for name, content in (("config.json", config), ("preprocessor_config.json", pixels)):
        (folder / name).write_text(json.dumps(content, indent=1), encoding="utf-8")
    state = {name: value.clone().contiguous() for name, value in model.state_dict().items()}
    if stored != "all":
        state.pop("language_model.lm_head.weight" if stored == "shared" else "language_model.model.shared.weight")
        for name in EMBEDDINGS[1:]:
            state.pop(f"language_model.model.{name}.weight")
    if weights.endswith(".safetensors"):
        save_file(state, folder / weights, metadata={"format": "pt"})
    else:
        torch.save(state, folder / weights)
    return folder
