"""A tiny Florence-2 in the layout that transformers has."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from .checkpoints import Layout, OldFiles, fill, write
from .tokenizers import byte_tokenizer, class_in_4, word_rows

SIDE = 64
TOKENS = (SIDE // 4 // 2 // 2) ** 2 + 1
"""Of a picture: what the last stage leaves of it and their mean."""

LOUDER = {"shared": 0.3, "q_proj": 3.0, "k_proj": 3.0, "encoder_attn.out_proj": 0.5, "self_attn.out_proj": 2.0}

SPECIAL = ("<s>", "<pad>", "</s>", "<unk>", "<mask>")

PROMPTGEN = ("<GENERATE_TAGS>", "<MIXED_CAPTION>", "<MIXED_CAPTION_PLUS>", "<ANALYZE>")
"""Tokens of PromptGen's tasks, in its tokenizer."""


def florence_tokenizer(image: bool = True, tasks: tuple[str, ...] = ()) -> Any:
    """BART's, which puts `<s>` and `</s>` around a text; with or without the token `<image>` of the native layout."""
    names = {
        "bos_token": "<s>", "eos_token": "</s>", "unk_token": "<unk>", "pad_token": "<pad>", "mask_token": "<mask>"
    }  # fmt: skip
    special = (*SPECIAL, *tasks)
    if image:
        special, names = (*special, "<image>"), {**names, "image_token": "<image>"}
    return byte_tokenizer(special, names, adds="<s> $A </s>", kind=class_in_4("BartTokenizerFast"))


def florence_config(rows: int, image: int) -> Any:
    """rows: of the embeddings.  image: the token `<image>`."""
    from transformers import BartConfig, Florence2Config

    vision = {
        "depths": [1, 1, 2], "patch_size": [7, 3, 3], "patch_stride": [4, 2, 2], "patch_padding": [3, 1, 1],
        "patch_prenorm": [False, True, True], "embed_dim": [16, 24, 32], "num_heads": [2, 3, 4],
        "num_groups": [2, 3, 4], "window_size": 3, "projection_dim": 48, "max_temporal_embeddings": 10,
        "max_position_embeddings": 8, "drop_path_rate": 0.1,
    }  # fmt: skip
    text = BartConfig(
        vocab_size=rows, d_model=48, encoder_layers=2, decoder_layers=2, encoder_attention_heads=4,
        decoder_attention_heads=4, encoder_ffn_dim=64, decoder_ffn_dim=64, max_position_embeddings=256,
        bos_token_id=0, pad_token_id=1, eos_token_id=2, decoder_start_token_id=2, forced_bos_token_id=0,
        forced_eos_token_id=2, no_repeat_ngram_size=3, num_beams=3,
    )  # fmt: skip
    return Florence2Config(
        vision_config=vision, text_config=text.to_dict(), image_token_id=image, bos_token_id=0, pad_token_id=1,
        eos_token_id=2, decoder_start_token_id=2, forced_bos_token_id=0, forced_eos_token_id=2,
    )  # fmt: skip


def florence_pixels() -> Any:
    """Squashes a picture, as Florence-2 does."""
    from transformers import CLIPImageProcessor

    square = {"height": SIDE, "width": SIDE}
    pixels = CLIPImageProcessor(
        do_resize=True, size=square, do_center_crop=False, crop_size=square, resample=3,
        image_mean=[0.485, 0.456, 0.406], image_std=[0.229, 0.224, 0.225],
    )  # fmt: skip
    pixels.image_seq_length = TOKENS
    return pixels


def write_florence2(folder: Path, layout: Layout = "5", seed: int = 5, shards: bool = False) -> Path:
    """Florence-2 as florence-community has it."""
    from transformers import Florence2ForConditionalGeneration, Florence2Processor, GenerationConfig

    tokenizer = florence_tokenizer()
    model = Florence2ForConditionalGeneration(florence_config(len(tokenizer), tokenizer.image_token_id))
    fill(model, seed, word_rows(tokenizer), tokenizer.eos_token_id, louder=LOUDER)
    model.generation_config = GenerationConfig(
        bos_token_id=0, pad_token_id=1, eos_token_id=2, decoder_start_token_id=2, forced_bos_token_id=0,
        forced_eos_token_id=2, no_repeat_ngram_size=3, num_beams=3, early_stopping=True,
    )  # fmt: skip
    processor = Florence2Processor(florence_pixels(), tokenizer)
    return write(folder, model, processor, layout, OldFiles(tokenizer_class="BartTokenizer"), shards)
