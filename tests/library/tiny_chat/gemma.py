"""Tiny Gemma 3, Gemma 4 and PaliGemma."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from .checkpoints import Layout, OldFiles, fill, write
from .tokenizers import byte_tokenizer, class_in_4, transformers_4, word_rows

SIDE, PATCH = 32, 8

SPECIAL = (
    "<pad>", "<eos>", "<bos>", "<unk>", "<start_of_turn>", "<end_of_turn>", "<start_of_image>", "<end_of_image>",
    "<image_soft_token>",
)  # fmt: skip
PAD, END, START, TURN_ENDS, IMAGE_STARTS, IMAGE_ENDS, IMAGE = 0, 1, 2, 5, 6, 7, 8

TEMPLATE = (
    "{{ bos_token }}{% if messages[0]['role'] == 'system' %}"
    "{% if messages[0]['content'] is string %}{% set first = messages[0]['content'] + '\n\n' %}"
    "{% else %}{% set first = messages[0]['content'][0]['text'] + '\n\n' %}{% endif %}{% set turns = messages[1:] %}"
    "{% else %}{% set first = '' %}{% set turns = messages %}{% endif %}"
    "{% for message in turns %}"
    "{% if (message['role'] == 'user') != (loop.index0 % 2 == 0) %}"
    "{{ raise_exception('Conversation roles must alternate user/assistant/user/assistant/...') }}{% endif %}"
    "{{ '<start_of_turn>' + ('model' if message['role'] == 'assistant' else message['role']) + '\n' }}"
    "{% if loop.first %}{{ first }}{% endif %}"
    "{% if message['content'] is string %}{{ message['content'] | trim }}{% else %}"
    "{% for part in message['content'] %}{% if part['type'] == 'image' %}{{ '<start_of_image>' }}"
    "{% elif part['type'] == 'text' %}{{ part['text'] | trim }}{% endif %}{% endfor %}{% endif %}"
    "{{ '<end_of_turn>\n' }}{% endfor %}{% if add_generation_prompt %}{{ '<start_of_turn>model\n' }}{% endif %}"
)
"""Of Gemma 3: BOS stands in it although the tokenizer adds it, and a system text goes into the first question."""

GEMMA4_TEMPLATE = (
    "{{ bos_token }}{% for message in messages %}{{ '<|turn>' + ('model' if message['role'] == 'assistant' else "
    "message['role']) + '\n' }}{% if message['content'] is string %}{{ message['content'] | trim }}{% else %}"
    "{% for part in message['content'] %}{% if part['type'] == 'image' %}{{ '<|image|>' }}"
    "{% elif part['type'] == 'text' %}{{ part['text'] | trim }}{% endif %}{% endfor %}{% endif %}{{ '<turn|>\n' }}"
    "{% endfor %}{% if add_generation_prompt %}{{ '<|turn>model\n' }}{% endif %}"
)
"""Knows a system role."""

LOUDER = {"embed_tokens.weight": 0.1}
"""All have tied embeddings; see `fill`."""

_VISION: dict[str, Any] = {
    "hidden_size": 32, "intermediate_size": 48, "num_hidden_layers": 2, "num_attention_heads": 2, "image_size": SIDE,
    "patch_size": PATCH, "vision_use_head": False,
}  # fmt: skip


def _siglip_pixels() -> Any:
    from transformers import SiglipImageProcessor

    return SiglipImageProcessor(
        size={"height": SIDE, "width": SIDE}, image_mean=[0.5] * 3, image_std=[0.5] * 3, resample=3
    )


def write_gemma3(folder: Path, layout: Layout = "5", seed: int = 2, shards: bool = False) -> Path:
    """Gemma 3: SigLIP pooled to four tokens; ends with `<end_of_turn>`, which is not the tokenizer's EOS."""
    from transformers import (
        Gemma3Config,
        Gemma3ForConditionalGeneration,
        Gemma3ImageProcessor,
        Gemma3Processor,
        Gemma3TextConfig,
        SiglipVisionConfig,
    )  # fmt: skip

    names = {
        "bos_token": "<bos>", "eos_token": "<eos>", "pad_token": "<pad>", "unk_token": "<unk>",
        "boi_token": "<start_of_image>", "eoi_token": "<end_of_image>", "image_token": "<image_soft_token>",
    }  # fmt: skip
    tokenizer = byte_tokenizer(SPECIAL, names, TEMPLATE, adds="<bos> $A")
    text = Gemma3TextConfig(
        vocab_size=len(tokenizer), hidden_size=64, intermediate_size=96, num_hidden_layers=3, num_attention_heads=4,
        num_key_value_heads=2, head_dim=16, query_pre_attn_scalar=16, sliding_window=16, sliding_window_pattern=3,
        layer_types=["sliding_attention", "sliding_attention", "full_attention"], max_position_embeddings=4096,
    )  # fmt: skip
    config = Gemma3Config(
        text_config=text, vision_config=SiglipVisionConfig(**_VISION).to_dict(), mm_tokens_per_image=4,
        boi_token_index=IMAGE_STARTS, eoi_token_index=IMAGE_ENDS, image_token_index=IMAGE,
        eos_token_id=[END, TURN_ENDS],
    )  # fmt: skip
    model = Gemma3ForConditionalGeneration(config)
    fill(model, seed, word_rows(tokenizer), TURN_ENDS, louder=LOUDER)
    model.generation_config.eos_token_id = [END, TURN_ENDS]
    if transformers_4():  # in the files of Gemma 3, too; the prompts are longer than the sliding window
        model.generation_config.cache_implementation = "hybrid"
    pixels = Gemma3ImageProcessor(size={"height": SIDE, "width": SIDE}, image_mean=[0.5] * 3, image_std=[0.5] * 3)
    processor = Gemma3Processor(pixels, tokenizer, chat_template=TEMPLATE, image_seq_length=4)
    return write(folder, model, processor, layout, OldFiles(), shards)


def write_paligemma(folder: Path, layout: Layout = "5", seed: int = 4, shards: bool = False) -> Path:
    """PaliGemma: no template; the processor adds 1,152 tokens for boxes and masks."""
    from transformers import (
        GemmaConfig,
        PaliGemmaConfig,
        PaliGemmaForConditionalGeneration,
        PaliGemmaProcessor,
        SiglipVisionConfig,
    )  # fmt: skip

    names = {
        "bos_token": "<bos>", "eos_token": "<eos>", "pad_token": "<pad>", "unk_token": "<unk>", "image_token": "<image>"
    }  # fmt: skip
    kind = class_in_4("GemmaTokenizerFast")
    tokenizer = byte_tokenizer(("<pad>", "<eos>", "<bos>", "<unk>", "<image>"), names, adds="<bos> $A", kind=kind)
    pixels = _siglip_pixels()
    pixels.image_seq_length = (SIDE // PATCH) ** 2
    processor = PaliGemmaProcessor(pixels, tokenizer)
    text = GemmaConfig(
        vocab_size=len(tokenizer), hidden_size=48, intermediate_size=64, num_hidden_layers=2, num_attention_heads=4,
        num_key_value_heads=1, head_dim=12, bos_token_id=START, eos_token_id=END, pad_token_id=PAD,
        max_position_embeddings=1024,
    )  # fmt: skip
    config = PaliGemmaConfig(
        vision_config=SiglipVisionConfig(**_VISION, projection_dim=48).to_dict(), text_config=text.to_dict(),
        image_token_index=4, projection_dim=48, hidden_size=48, vocab_size=len(tokenizer), bos_token_id=START,
        eos_token_id=END, pad_token_id=PAD,
    )  # fmt: skip
    model = PaliGemmaForConditionalGeneration(config)
    fill(model, seed, word_rows(tokenizer), END, louder=LOUDER)
    return write(folder, model, processor, layout, OldFiles(tokenizer_class=kind), shards)


def write_gemma4(folder: Path, layout: Layout = "5", seed: int = 6, shards: bool = False) -> Path:
    """Gemma 4 without its ears: pictures of any shape, four patches a token, 70 tokens at most."""
    from transformers import (
        Gemma4AudioFeatureExtractor,
        Gemma4Config,
        Gemma4ForConditionalGeneration,
        Gemma4ImageProcessor,
        Gemma4Processor,
        Gemma4VideoProcessor,
    )  # fmt: skip

    special = ("<pad>", "<eos>", "<bos>", "<unk>", "<|turn>", "<turn|>", "<|image>", "<image|>", "<|image|>",
               "<|audio>", "<audio|>", "<|audio|>", "<|video|>")  # fmt: skip
    names = {
        "bos_token": "<bos>", "eos_token": "<eos>", "pad_token": "<pad>", "unk_token": "<unk>",
        "boi_token": "<|image>", "eoi_token": "<image|>", "image_token": "<|image|>", "boa_token": "<|audio>",
        "eoa_token": "<audio|>", "audio_token": "<|audio|>",
    }  # fmt: skip
    tokenizer = byte_tokenizer(special, names, GEMMA4_TEMPLATE, adds="<bos> $A")
    rows = len(tokenizer)
    rope = {"rope_type": "default", "rope_theta": 10_000.0}
    text = {
        "vocab_size": rows, "vocab_size_per_layer_input": rows, "hidden_size": 64, "intermediate_size": 96,
        "num_hidden_layers": 3, "num_attention_heads": 4, "num_key_value_heads": 2, "head_dim": 16,
        "global_head_dim": 16, "hidden_size_per_layer_input": 8, "sliding_window": 16,
        "layer_types": ["sliding_attention", "sliding_attention", "full_attention"],
        "rope_parameters": {
            "sliding_attention": rope,
            "full_attention": {"rope_type": "proportional", "partial_rotary_factor": 0.25, "rope_theta": 1_000_000.0},
        },
        "max_position_embeddings": 4096, "final_logit_softcapping": 30.0,
    }  # fmt: skip
    vision = {
        "hidden_size": 32, "intermediate_size": 48, "num_hidden_layers": 2, "num_attention_heads": 2,
        "num_key_value_heads": 2, "head_dim": 16, "patch_size": PATCH, "pooling_kernel_size": 2,
        "position_embedding_size": 512,
    }  # fmt: skip
    config = Gemma4Config(
        text_config=text, vision_config=vision, audio_config=None, boi_token_id=6, eoi_token_id=7, image_token_id=8,
        boa_token_id=9, eoa_token_index=10, audio_token_id=11, video_token_id=12, eos_token_id=[1, 5],
    )  # fmt: skip
    model = Gemma4ForConditionalGeneration(config)
    fill(model, seed, word_rows(tokenizer), 5, louder=LOUDER)
    model.generation_config.eos_token_id = [1, 5]
    pixels = {"patch_size": PATCH, "pooling_kernel_size": 2, "max_soft_tokens": 70}
    processor = Gemma4Processor(
        Gemma4AudioFeatureExtractor(), Gemma4ImageProcessor(**pixels), tokenizer, Gemma4VideoProcessor(**pixels),
        chat_template=GEMMA4_TEMPLATE, image_seq_length=70,
    )  # fmt: skip
    return write(folder, model, processor, layout, OldFiles(video=True, config=False), shards)
