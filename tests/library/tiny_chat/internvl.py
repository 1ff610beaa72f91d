"""A tiny InternVL 3 as the repositories in `-hf` have it."""

from __future__ import annotations

from pathlib import Path

from .checkpoints import Layout, OldFiles, fill, write
from .tokenizers import byte_tokenizer, word_rows

TILE, PATCH = 32, 8
TOKENS = (TILE // PATCH // 2) ** 2
SPECIAL = ("<|endoftext|>", "<|im_start|>", "<|im_end|>", "<img>", "</img>", "<IMG_CONTEXT>", "<video>")

TEMPLATE = (
    "{% for message in messages %}{{ '<|im_start|>' + message['role'] + '\n' }}"
    "{% if message['content'] is string %}{{ message['content'] }}{% else %}{% for part in message['content'] %}"
    "{% if part['type'] == 'image' %}{{ '<IMG_CONTEXT>\n' }}{% elif part['type'] == 'video' %}{{ '<video>\n' }}"
    "{% elif part['type'] == 'text' %}{{ part['text'] }}{% endif %}{% endfor %}{% endif %}"
    "{{ '<|im_end|>\n' }}{% endfor %}{% if add_generation_prompt %}{{ '<|im_start|>assistant\n' }}{% endif %}"
)


def write_internvl(folder: Path, layout: Layout = "5", seed: int = 0, shards: bool = False) -> Path:
    """InternVL 3: up to four tiles and the whole picture, four tokens each."""
    from transformers import (
        GotOcr2ImageProcessor,
        InternVLConfig,
        InternVLForConditionalGeneration,
        InternVLProcessor,
        InternVLVideoProcessor,
        Qwen2Config,
    )  # fmt: skip

    names = {
        "eos_token": "<|im_end|>", "pad_token": "<|endoftext|>", "start_image_token": "<img>",
        "end_image_token": "</img>", "context_image_token": "<IMG_CONTEXT>", "video_token": "<video>",
    }  # fmt: skip
    tokenizer = byte_tokenizer(SPECIAL, names, TEMPLATE)
    text = Qwen2Config(
        vocab_size=len(tokenizer), hidden_size=64, intermediate_size=96, num_hidden_layers=2, num_attention_heads=4,
        num_key_value_heads=2, max_position_embeddings=4096, bos_token_id=None, eos_token_id=2, pad_token_id=0,
        tie_word_embeddings=False,
    )  # fmt: skip
    vision = {
        "hidden_size": 32, "intermediate_size": 48, "num_hidden_layers": 2, "num_attention_heads": 2,
        "image_size": [TILE, TILE], "patch_size": [PATCH, PATCH],
    }  # fmt: skip
    config = InternVLConfig(
        vision_config=vision, text_config=text.to_dict(), image_token_id=5, image_seq_length=TOKENS,
        downsample_ratio=0.5, tie_word_embeddings=False,
    )  # fmt: skip
    model = InternVLForConditionalGeneration(config)
    fill(model, seed, word_rows(tokenizer), 2)
    size = {"height": TILE, "width": TILE}
    processor = InternVLProcessor(
        GotOcr2ImageProcessor(size=size, crop_to_patches=True, min_patches=1, max_patches=4), tokenizer,
        InternVLVideoProcessor(size=size), image_seq_length=TOKENS, chat_template=TEMPLATE,
    )  # fmt: skip
    return write(folder, model, processor, layout, OldFiles(video=True, tokenizer_class="Qwen2Tokenizer"), shards)
