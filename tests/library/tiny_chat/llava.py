"""Tiny LLaVA with CLIP or SigLIP, JoyCaption, LLaVA-Next and LLaVA-OneVision."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from .checkpoints import Layout, OldFiles, fill, write
from .tokenizers import byte_tokenizer, word_rows

SIDE, PATCH = 32, 8
PATCHES = (SIDE // PATCH) ** 2

TEMPLATE = (
    "{% for message in messages %}{% if message.role != 'system' %}{{ message.role.upper() + ': ' }}{% endif %}"
    "{% for part in message.content if part.type == 'image' %}{{ '<image>\n' }}{% endfor %}"
    "{% for part in message.content if part.type == 'text' %}{{ part.text + ' ' }}{% endfor %}{% endfor %}"
    "{% if add_generation_prompt %}{{ 'ASSISTANT:' }}{% endif %}"
)
"""Of LLaVA 1.5: takes lists of parts only; a system text stands in front without a name."""

JOY_SPECIAL = (
    "<|begin_of_text|>", "<|end_of_text|>", "<|start_header_id|>", "<|end_header_id|>", "<|eot_id|>",
    "<|finetune_right_pad_id|>", "<|image_start|>", "<|image|>", "<|image_end|>",
)  # fmt: skip
JOY_TEMPLATE = (
    "{{- bos_token }}{% for message in messages %}"
    "{{- '<|start_header_id|>' + message['role'] + '<|end_header_id|>\n\n' }}"
    "{%- if message['role'] == 'user' and loop.index0 < 2 %}{{- '<|image_start|><|image|><|image_end|>' }}{%- endif %}"
    "{{- message['content'] | trim + '<|eot_id|>' }}{% endfor %}"
    "{%- if add_generation_prompt %}{{- '<|start_header_id|>assistant<|end_header_id|>\n\n' }}{%- endif %}"
)
"""Of JoyCaption: contents are strings, the image stands in front of the first question without being asked for, and the
template writes the BOS that the tokenizer adds as well."""


def _text(rows: int, begin: int, end: int, pad: int) -> dict[str, Any]:
    return {
        "vocab_size": rows, "hidden_size": 64, "intermediate_size": 96, "num_hidden_layers": 2,
        "num_attention_heads": 4, "num_key_value_heads": 2, "max_position_embeddings": 4096, "bos_token_id": begin,
        "eos_token_id": end, "pad_token_id": pad,
    }  # fmt: skip


_VISION: dict[str, Any] = {
    "hidden_size": 32, "intermediate_size": 48, "num_hidden_layers": 3, "num_attention_heads": 2, "image_size": SIDE,
    "patch_size": PATCH,
}  # fmt: skip


def _llama_tokenizer() -> Any:
    names = {
        "bos_token": "<s>", "eos_token": "</s>", "unk_token": "<unk>", "pad_token": "<pad>", "image_token": "<image>"
    }  # fmt: skip
    return byte_tokenizer(("<unk>", "<s>", "</s>", "<image>", "<pad>"), names, TEMPLATE, adds="<s> $A")


def _clip_pixels() -> Any:
    from transformers import CLIPImageProcessor

    return CLIPImageProcessor(size={"shortest_edge": SIDE}, crop_size={"height": SIDE, "width": SIDE})


def _siglip_pixels() -> Any:
    from transformers import SiglipImageProcessor

    return SiglipImageProcessor(
        size={"height": SIDE, "width": SIDE}, image_mean=[0.5] * 3, image_std=[0.5] * 3, resample=3
    )


def write_llava(folder: Path, layout: Layout = "5", seed: int = 4, shards: bool = False) -> Path:
    """LLaVA 1.5: CLIP without its class token, Llama."""
    from transformers import CLIPVisionConfig, LlamaConfig, LlavaConfig, LlavaForConditionalGeneration, LlavaProcessor

    tokenizer = _llama_tokenizer()
    config = LlavaConfig(
        vision_config=CLIPVisionConfig(**_VISION),
        text_config=LlamaConfig(**_text(len(tokenizer), 1, 2, 4)), image_token_index=3,
        image_seq_length=PATCHES, vision_feature_layer=-2, vision_feature_select_strategy="default",
    )  # fmt: skip
    model = LlavaForConditionalGeneration(config)
    fill(model, seed, word_rows(tokenizer), 2)
    processor = LlavaProcessor(
        _clip_pixels(), tokenizer, patch_size=PATCH, vision_feature_select_strategy="default",
        num_additional_image_tokens=1, chat_template=TEMPLATE,
    )  # fmt: skip
    return write(folder, model, processor, layout, OldFiles(tokenizer_class="LlamaTokenizer"), shards)


def write_llava_siglip(folder: Path, layout: Layout = "5", seed: int = 5, shards: bool = False) -> Path:
    """LLaVA with SigLIP, all of whose tokens are used."""
    return _write_siglip(folder, _llama_tokenizer(), TEMPLATE, (1, 2, 4, 3), layout, seed, shards)


def write_joycaption(folder: Path, layout: Layout = "5", seed: int = 8, shards: bool = False) -> Path:
    """LLaVA with the traits of JoyCaption, see `JOY_TEMPLATE`."""
    names = {
        "bos_token": "<|begin_of_text|>", "eos_token": "<|eot_id|>", "pad_token": "<|finetune_right_pad_id|>",
        "image_token": "<|image|>",
    }  # fmt: skip
    tokenizer = byte_tokenizer(JOY_SPECIAL, names, JOY_TEMPLATE, adds="<|begin_of_text|> $A")
    return _write_siglip(folder, tokenizer, JOY_TEMPLATE, (0, 4, 5, 7), layout, seed, shards)


def _write_siglip(
    folder: Path, tokenizer: Any, template: str, ids: tuple[int, int, int, int], layout: Layout, seed: int, shards: bool
) -> Path:
    """ids: of BOS, EOS, padding and image."""
    from transformers import (
        LlamaConfig,
        LlavaConfig,
        LlavaForConditionalGeneration,
        LlavaProcessor,
        SiglipVisionConfig,
    )  # fmt: skip

    begin, end, pad, image = ids
    config = LlavaConfig(
        vision_config=SiglipVisionConfig(**_VISION),
        text_config=LlamaConfig(**_text(len(tokenizer), begin, end, pad)), image_token_index=image,
        image_seq_length=PATCHES, vision_feature_layer=-2, vision_feature_select_strategy="full",
    )  # fmt: skip
    model = LlavaForConditionalGeneration(config)
    fill(model, seed, word_rows(tokenizer), end)
    processor = LlavaProcessor(
        _siglip_pixels(), tokenizer, patch_size=PATCH, vision_feature_select_strategy="full",
        num_additional_image_tokens=0, image_token=tokenizer.image_token, chat_template=template,
    )  # fmt: skip
    return write(folder, model, processor, layout, OldFiles(), shards)


def write_llava_next(folder: Path, layout: Layout = "5", seed: int = 3, shards: bool = False) -> Path:
    """LLaVA 1.6: the picture and tiles of it; its old repositories have the template with the tokenizer."""
    from transformers import (
        CLIPVisionConfig,
        LlavaNextConfig,
        LlavaNextForConditionalGeneration,
        LlavaNextImageProcessor,
        LlavaNextProcessor,
        MistralConfig,
    )  # fmt: skip

    tokenizer = _llama_tokenizer()
    tiles = [[SIDE, 2 * SIDE], [2 * SIDE, SIDE], [2 * SIDE, 2 * SIDE]]
    config = LlavaNextConfig(
        vision_config=CLIPVisionConfig(**_VISION),
        text_config=MistralConfig(**_text(len(tokenizer), 1, 2, 4)), image_token_index=3,
        image_seq_length=PATCHES, vision_feature_layer=-2, vision_feature_select_strategy="default",
        image_grid_pinpoints=tiles,
    )  # fmt: skip
    model = LlavaNextForConditionalGeneration(config)
    fill(model, seed, word_rows(tokenizer), 2)
    pixels = LlavaNextImageProcessor(
        size={"shortest_edge": SIDE}, crop_size={"height": SIDE, "width": SIDE}, image_grid_pinpoints=tiles
    )
    processor = LlavaNextProcessor(
        pixels, tokenizer, patch_size=PATCH, vision_feature_select_strategy="default", num_additional_image_tokens=1,
        chat_template=TEMPLATE,
    )  # fmt: skip
    return write(folder, model, processor, layout, OldFiles(template="tokenizer_config.json"), shards)


def write_llava_onevision(folder: Path, layout: Layout = "5", seed: int = 1, shards: bool = False) -> Path:
    """LLaVA-OneVision: SigLIP, tiles, Qwen2."""
    from transformers import (
        LlavaOnevisionConfig,
        LlavaOnevisionForConditionalGeneration,
        LlavaOnevisionImageProcessor,
        LlavaOnevisionProcessor,
        LlavaOnevisionVideoProcessor,
        Qwen2Config,
        SiglipVisionConfig,
    )  # fmt: skip

    special = ("<|endoftext|>", "<|im_start|>", "<|im_end|>", "<image>", "<video>")
    template = (
        "{% for message in messages %}{{ '<|im_start|>' + message.role + ' ' }}"
        "{% for part in message.content if part.type == 'image' %}{{ '<image>' }}{% endfor %}"
        "{% for part in message.content if part.type == 'text' %}{{ '\n' + part.text }}{% endfor %}"
        "{{ '<|im_end|>' }}{% endfor %}{% if add_generation_prompt %}{{ '<|im_start|>assistant\n' }}{% endif %}"
    )
    names = {
        "eos_token": "<|im_end|>",
        "pad_token": "<|endoftext|>",
        "image_token": "<image>",
        "video_token": "<video>",
    }
    tokenizer = byte_tokenizer(special, names, template)
    tiles = [[SIDE, 2 * SIDE], [2 * SIDE, SIDE], [2 * SIDE, 2 * SIDE]]
    text = {**_text(len(tokenizer), 1, 2, 0), "bos_token_id": None}
    config = LlavaOnevisionConfig(
        vision_config=SiglipVisionConfig(**_VISION, vision_use_head=False),
        text_config=Qwen2Config(**text), image_token_index=3,
        video_token_index=4, vision_feature_layer=-1, vision_feature_select_strategy="full",
        vision_aspect_ratio="anyres_max_9", image_grid_pinpoints=tiles,
    )  # fmt: skip
    model = LlavaOnevisionForConditionalGeneration(config)
    fill(model, seed, word_rows(tokenizer), 2)
    square = {"height": SIDE, "width": SIDE}
    processor = LlavaOnevisionProcessor(
        LlavaOnevisionImageProcessor(size=square, image_grid_pinpoints=tiles), tokenizer,
        LlavaOnevisionVideoProcessor(size=square), num_image_tokens=PATCHES, vision_feature_select_strategy="full",
        chat_template=template,
    )  # fmt: skip
    return write(folder, model, processor, layout, OldFiles(video=True), shards)
