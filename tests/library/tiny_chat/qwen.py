"""Tiny Qwen2-VL, Qwen2.5-VL, Qwen3-VL and Qwen3.5."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from .checkpoints import Layout, OldFiles, fill, write
from .tokenizers import byte_tokenizer, class_in_4, transformers_4, word_rows

SPECIAL = (
    "<|endoftext|>", "<|im_start|>", "<|im_end|>", "<|vision_start|>", "<|vision_end|>", "<|image_pad|>",
    "<|video_pad|>",
)  # fmt: skip
END, PAD = 2, 0

_CONTENT = (
    "{% macro content(message) %}{% if message.content is string %}{{ message.content }}{% else %}"
    "{% for part in message.content %}{% if part.type == 'image' %}<|vision_start|><|image_pad|><|vision_end|>"
    "{% elif part.type == 'video' %}<|vision_start|><|video_pad|><|vision_end|>"
    "{% elif 'text' in part %}{{ part.text }}{% endif %}{% endfor %}{% endif %}{% endmacro %}"
)
_TURNS = (
    "{% for message in messages %}<|im_start|>{{ message.role }}\n{{ content(message) }}<|im_end|>\n{% endfor %}"
    "{% if add_generation_prompt %}<|im_start|>assistant\n{% endif %}"
)
WITH_DEFAULT_SYSTEM = (
    _CONTENT
    + "{% if messages[0].role != 'system' %}<|im_start|>system\nYou are a helpful assistant.<|im_end|>\n{% endif %}"
    + _TURNS
)
PLAIN = _CONTENT + _TURNS
THINKING = PLAIN.replace(
    "<|im_start|>assistant\n{% endif %}",
    "<|im_start|>assistant\n{% if enable_thinking is defined and enable_thinking is false %}<think>\n\n</think>\n\n"
    "{% else %}<think>\n{% endif %}{% endif %}",
)
"""Thinks unless it is asked not to; the opening tag stands in the prompt, as in Qwen3.5."""

_TEXT: dict[str, Any] = {
    "hidden_size": 64, "intermediate_size": 96, "num_hidden_layers": 2, "num_attention_heads": 4,
    "num_key_value_heads": 2, "max_position_embeddings": 4096, "bos_token_id": None, "eos_token_id": END,
    "pad_token_id": PAD,
}  # fmt: skip
_VISION_3: dict[str, Any] = {
    "depth": 2, "hidden_size": 32, "intermediate_size": 48, "num_heads": 2, "patch_size": 16, "out_hidden_size": 64,
    "num_position_embeddings": 64,
}  # fmt: skip
_OLD_2 = OldFiles(processor=False, flat=True, tokenizer_class="Qwen2Tokenizer")
_OLD_3 = OldFiles(processor=False, video=True, tokenizer_class="Qwen2Tokenizer")
_IDS = {"image_token_id": 5, "video_token_id": 6, "vision_start_token_id": 3, "vision_end_token_id": 4}


def _pixels(processor: Any, patch: int, **given: Any) -> Any:
    """An image processor with small pictures: 16 to 64 patches of 28 or 32 pixels."""
    side = 2 * patch
    return processor(
        patch_size=patch, temporal_patch_size=2, merge_size=2,
        size={"shortest_edge": 16 * side**2, "longest_edge": 64 * side**2}, **given,
    )  # fmt: skip


def _videos(patch: int) -> dict[str, Any]:
    """The video processor; before transformers 4.52 there was none, and the image processor did its work."""
    import transformers

    kind = getattr(transformers, "Qwen2VLVideoProcessor", None)
    return {} if kind is None else {"video_processor": _pixels(kind, patch)}


def _tokenizer(template: str) -> Any:
    names = {"eos_token": "<|im_end|>", "pad_token": "<|endoftext|>"}
    return byte_tokenizer(SPECIAL, names, template, kind=class_in_4("Qwen2TokenizerFast"))


def _rope(text: dict[str, Any]) -> dict[str, Any]:
    """The values of a text part with those of its rotary embedding in the names that transformers has here."""
    if not transformers_4():
        return text
    rope = dict(text["rope_parameters"])
    rest = {name: value for name, value in text.items() if name != "rope_parameters"}
    return {**rest, "rope_theta": rope.pop("rope_theta"), "rope_scaling": rope}


def _text_part(text: dict[str, Any]) -> dict[str, Any]:
    """The values of a text part where Qwen2-VL has them: in transformers 4 beside those of the whole."""
    return _rope(text) if transformers_4() else {"text_config": text}


def write_qwen2_5_vl(folder: Path, layout: Layout = "5", seed: int = 7, shards: bool = False) -> Path:
    """Qwen2.5-VL; its template adds a system text where there is none."""
    from transformers import (
        Qwen2_5_VLConfig,
        Qwen2_5_VLForConditionalGeneration,
        Qwen2_5_VLProcessor,
        Qwen2VLImageProcessor,
    )  # fmt: skip

    tokenizer = _tokenizer(WITH_DEFAULT_SYSTEM)
    vision = {
        "depth": 2, "hidden_size": 32, "intermediate_size": 48, "num_heads": 2, "patch_size": 14, "window_size": 56,
        "fullatt_block_indexes": [1], "out_hidden_size": 64,
    }  # fmt: skip
    rope = {"rope_type": "default", "mrope_section": [2, 3, 3], "rope_theta": 10_000.0}
    text = {**_TEXT, "vocab_size": len(tokenizer), "rope_parameters": rope}
    config = Qwen2_5_VLConfig(**_text_part(text), vision_config=vision, **_IDS, tie_word_embeddings=False)
    model = Qwen2_5_VLForConditionalGeneration(config)
    fill(model, seed, word_rows(tokenizer), END)
    processor = Qwen2_5_VLProcessor(
        _pixels(Qwen2VLImageProcessor, 14), tokenizer, **_videos(14), chat_template=WITH_DEFAULT_SYSTEM
    )
    return write(folder, model, processor, layout, _OLD_2, shards)


def write_qwen2_vl(folder: Path, layout: Layout = "5", seed: int = 7, shards: bool = False) -> Path:
    """Qwen2-VL."""
    from transformers import (
        Qwen2VLConfig,
        Qwen2VLForConditionalGeneration,
        Qwen2VLImageProcessor,
        Qwen2VLProcessor,
    )  # fmt: skip

    tokenizer = _tokenizer(WITH_DEFAULT_SYSTEM)
    vision = {"depth": 2, "embed_dim": 32, "hidden_size": 64, "mlp_ratio": 2, "num_heads": 2, "patch_size": 14}
    rope = {"rope_type": "default", "mrope_section": [2, 3, 3], "rope_theta": 10_000.0}
    text = {**_TEXT, "vocab_size": len(tokenizer), "rope_parameters": rope}
    config = Qwen2VLConfig(**_text_part(text), vision_config=vision, **_IDS, tie_word_embeddings=False)
    model = Qwen2VLForConditionalGeneration(config)
    fill(model, seed, word_rows(tokenizer), END)
    processor = Qwen2VLProcessor(
        _pixels(Qwen2VLImageProcessor, 14), tokenizer, **_videos(14), chat_template=WITH_DEFAULT_SYSTEM
    )
    return write(folder, model, processor, layout, _OLD_2, shards)


def write_qwen3_vl(folder: Path, layout: Layout = "5", seed: int = 6, shards: bool = False) -> Path:
    """Qwen3-VL with tied embeddings, as those of 2B and 4B."""
    from transformers import (
        Qwen2VLImageProcessor,
        Qwen3VLConfig,
        Qwen3VLForConditionalGeneration,
        Qwen3VLProcessor,
        Qwen3VLVideoProcessor,
    )  # fmt: skip

    tokenizer = _tokenizer(PLAIN)
    rope = {"rope_type": "default", "mrope_section": [4, 2, 2], "mrope_interleaved": True, "rope_theta": 10_000.0}
    text = {**_TEXT, "vocab_size": len(tokenizer), "head_dim": 16, "rope_parameters": rope, "tie_word_embeddings": True}
    vision = {**_VISION_3, "deepstack_visual_indexes": [0]}
    config = Qwen3VLConfig(text_config=_rope(text), vision_config=vision, **_IDS, tie_word_embeddings=True)
    model = Qwen3VLForConditionalGeneration(config)
    fill(model, seed, word_rows(tokenizer), END, louder={"embed_tokens": 0.2})
    processor = Qwen3VLProcessor(
        _pixels(Qwen2VLImageProcessor, 16, image_mean=[0.5] * 3, image_std=[0.5] * 3), tokenizer,
        _pixels(Qwen3VLVideoProcessor, 16), chat_template=PLAIN,
    )  # fmt: skip
    return write(folder, model, processor, layout, _OLD_3, shards)


def write_qwen3_5(folder: Path, layout: Layout = "5", seed: int = 5, shards: bool = False) -> Path:
    """Qwen3.5: a layer of linear attention, one of full attention; its template asks it to think."""
    from transformers import (
        Qwen2VLImageProcessor,
        Qwen3_5Config,
        Qwen3_5ForConditionalGeneration,
        Qwen3VLProcessor,
        Qwen3VLVideoProcessor,
    )  # fmt: skip

    special = (*SPECIAL, "<think>", "</think>")
    names = {"eos_token": "<|im_end|>", "pad_token": "<|endoftext|>"}
    tokenizer = byte_tokenizer(special, names, THINKING)
    rope = {
        "rope_type": "default", "mrope_section": [2, 1, 1], "mrope_interleaved": True, "rope_theta": 10_000.0,
        "partial_rotary_factor": 0.5,
    }  # fmt: skip
    text = {
        **_TEXT, "vocab_size": len(tokenizer), "head_dim": 16, "rope_parameters": rope, "partial_rotary_factor": 0.5,
        "layer_types": ["linear_attention", "full_attention"], "linear_key_head_dim": 16, "linear_value_head_dim": 16,
        "linear_num_key_heads": 2, "linear_num_value_heads": 4, "tie_word_embeddings": False,
    }  # fmt: skip
    config = Qwen3_5Config(text_config=text, vision_config=_VISION_3, **_IDS, tie_word_embeddings=False)
    model = Qwen3_5ForConditionalGeneration(config)
    fill(model, seed, word_rows(tokenizer), END)
    processor = Qwen3VLProcessor(
        _pixels(Qwen2VLImageProcessor, 16, image_mean=[0.5] * 3, image_std=[0.5] * 3), tokenizer,
        _pixels(Qwen3VLVideoProcessor, 16), chat_template=THINKING,
    )  # fmt: skip
    return write(folder, model, processor, layout, OldFiles(processor=False, video=True, config=False), shards)
