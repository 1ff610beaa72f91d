"""Tiny GIT and Kosmos-2."""

from __future__ import annotations

from pathlib import Path

from .checkpoints import Layout, OldFiles, fill, write
from .tokenizers import byte_tokenizer, word_piece_tokenizer, word_rows

SIDE = 32


def write_git(folder: Path, layout: Layout = "5", seed: int = 0, shards: bool = False) -> Path:
    """GIT, which takes no text: [CLS] begins the answer, [SEP] ends it."""
    from transformers import CLIPImageProcessor, GitConfig, GitForCausalLM, GitProcessor

    tokenizer = word_piece_tokenizer()
    size = {"hidden_size": 48, "intermediate_size": 64, "num_hidden_layers": 2, "num_attention_heads": 4}
    config = GitConfig(
        vision_config={**size, "hidden_size": 32, "image_size": SIDE, "patch_size": 8}, **size,
        vocab_size=len(tokenizer), max_position_embeddings=128, bos_token_id=tokenizer.cls_token_id,
        eos_token_id=tokenizer.sep_token_id, pad_token_id=0,
    )  # fmt: skip
    model = GitForCausalLM(config)
    fill(model, seed, word_rows(tokenizer), tokenizer.sep_token_id)
    pixels = CLIPImageProcessor(size={"shortest_edge": SIDE}, crop_size={"height": SIDE, "width": SIDE})
    processor = GitProcessor(pixels, tokenizer)
    return write(folder, model, processor, layout, OldFiles(processor=False, tokenizer_class="BertTokenizer"), shards)
