"""Tiny SmolVLM2 and Idefics3."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from .checkpoints import Layout, OldFiles, fill, write
from .tokenizers import byte_tokenizer, word_rows

TILE, PATCH, SCALE = 32, 8, 2
TOKENS = (TILE // PATCH // SCALE) ** 2
"""Of a tile."""

SPECIAL = (
    "<|im_start|>", "<end_of_utterance>", "<|im_end|>", "<fake_token_around_image>", "<image>", "<global-img>",
    *(f"<row_{row}_col_{column}>" for row in (1, 2) for column in (1, 2)),
)  # fmt: skip
START, END, PAD, IMAGE = 0, 1, 2, 4

TEMPLATE = (
    "<|im_start|>{% for message in messages %}{{ message['role'] | capitalize }}"
    "{% if message['content'][0]['type'] == 'image' %}{{ ':' }}{% else %}{{ ': ' }}{% endif %}"
    "{% for part in message['content'] %}{% if part['type'] == 'text' %}{{ part['text'] }}"
    "{% elif part['type'] == 'image' %}{{ '<image>' }}{% endif %}{% endfor %}<end_of_utterance>\n{% endfor %}"
    "{% if add_generation_prompt %}{{ 'Assistant:' }}{% endif %}"
)


def _parts(tokenizer: Any, tied: bool) -> dict[str, Any]:
    from transformers import LlamaConfig

    text = LlamaConfig(
        vocab_size=len(tokenizer), hidden_size=64, intermediate_size=96, num_hidden_layers=2, num_attention_heads=4,
        num_key_value_heads=2, max_position_embeddings=4096, bos_token_id=START, eos_token_id=END, pad_token_id=PAD,
        tie_word_embeddings=tied,
    )  # fmt: skip
    vision = {
        "hidden_size": 32, "intermediate_size": 48, "num_hidden_layers": 2, "num_attention_heads": 2,
        "image_size": TILE, "patch_size": PATCH,
    }  # fmt: skip
    return {
        "text_config": text.to_dict(), "vision_config": vision, "image_token_id": IMAGE, "scale_factor": SCALE,
        "pad_token_id": PAD, "tie_word_embeddings": tied,
    }  # fmt: skip


def _tokenizer() -> Any:
    names = {
        "bos_token": "<|im_start|>", "eos_token": "<end_of_utterance>", "pad_token": "<|im_end|>",
        "image_token": "<image>", "fake_image_token": "<fake_token_around_image>",
        "global_image_token": "<global-img>", "end_of_utterance_token": "<end_of_utterance>",
    }  # fmt: skip
    return byte_tokenizer(SPECIAL, names, TEMPLATE)


def _pixels(processor: Any) -> Any:
    """Up to two by two tiles and the whole picture."""
    return processor(
        size={"longest_edge": 2 * TILE}, max_image_size={"longest_edge": TILE}, do_image_splitting=True,
        image_mean=[0.5] * 3, image_std=[0.5] * 3,
    )  # fmt: skip


def _videos() -> dict[str, Any]:
    """The video processor, where transformers has one."""
    import transformers

    kind = getattr(transformers, "SmolVLMVideoProcessor", None)
    sizes = {"size": {"longest_edge": 2 * TILE}, "max_image_size": {"longest_edge": TILE}}
    return {} if kind is None else {"video_processor": kind(**sizes)}


def write_smolvlm(folder: Path, layout: Layout = "5", seed: int = 6, shards: bool = False) -> Path:
    """SmolVLM2 with tied embeddings, as the one of 256M. transformers wants the package num2words for it."""
    from transformers import (
        SmolVLMConfig,
        SmolVLMForConditionalGeneration,
        SmolVLMImageProcessor,
        SmolVLMProcessor,
    )  # fmt: skip

    tokenizer = _tokenizer()
    model = SmolVLMForConditionalGeneration(SmolVLMConfig(**_parts(tokenizer, tied=True)))
    fill(model, seed, word_rows(tokenizer), END)
    pixels, videos = _pixels(SmolVLMImageProcessor), _videos()
    if not videos:  # before transformers 4.52 the image processor has what it needs for videos
        pixels.video_sampling = {"video_size": {"longest_edge": 2 * TILE}, "max_frames": 64, "fps": 1}
    processor = SmolVLMProcessor(pixels, tokenizer, **videos, image_seq_len=TOKENS, chat_template=TEMPLATE)
    return write(folder, model, processor, layout, OldFiles(tokenizer_class="GPT2Tokenizer"), shards)


def write_idefics3(folder: Path, layout: Layout = "5", seed: int = 2, shards: bool = False) -> Path:
    """Idefics3; its old repositories have the template with the tokenizer."""
    from transformers import (
        Idefics3Config,
        Idefics3ForConditionalGeneration,
        Idefics3ImageProcessor,
        Idefics3Processor,
    )  # fmt: skip

    tokenizer = _tokenizer()
    model = Idefics3ForConditionalGeneration(Idefics3Config(**_parts(tokenizer, tied=False)))
    fill(model, seed, word_rows(tokenizer), END)
    processor = Idefics3Processor(
        _pixels(Idefics3ImageProcessor), tokenizer, image_seq_len=TOKENS, chat_template=TEMPLATE
    )
    return write(folder, model, processor, layout, OldFiles(template="tokenizer_config.json"), shards)
