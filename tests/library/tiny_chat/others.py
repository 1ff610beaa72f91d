"""Tiny GIT and Kosmos-2."""

from __future__ import annotations

from pathlib import Path

from .checkpoints import Layout, OldFiles, fill, write
from .tokenizers import byte_tokenizer, word_piece_tokenizer, word_rows

SIDE = 32
LOUDER = {"q_proj": 3.0, "k_proj": 3.0, "fc2": 3.0, "out_proj": 3.0}
"""Of Kosmos-2; see `fill`."""


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


def write_kosmos2(folder: Path, layout: Layout = "5", seed: int = 1, shards: bool = False) -> Path:
    """Kosmos-2, whose processor puts 64 places for the image in front of the text."""
    from transformers import CLIPImageProcessor, Kosmos2Config, Kosmos2ForConditionalGeneration, Kosmos2Processor

    names = {"bos_token": "<s>", "eos_token": "</s>", "pad_token": "<pad>", "unk_token": "<unk>"}
    tokenizer = byte_tokenizer(("<s>", "<pad>", "</s>", "<unk>"), names)
    pixels = CLIPImageProcessor(size={"shortest_edge": SIDE}, crop_size={"height": SIDE, "width": SIDE})
    processor = Kosmos2Processor(pixels, tokenizer)  # adds 1,035 tokens
    config = Kosmos2Config(
        text_config={
            "vocab_size": len(tokenizer), "embed_dim": 48, "layers": 2, "ffn_dim": 64, "attention_heads": 4,
            "max_position_embeddings": 512,
        },
        vision_config={
            "hidden_size": 32, "intermediate_size": 48, "num_hidden_layers": 2, "num_attention_heads": 2,
            "image_size": SIDE, "patch_size": 8,
        },
        latent_query_num=64, bos_token_id=0, pad_token_id=1, eos_token_id=2,
    )  # fmt: skip
    model = Kosmos2ForConditionalGeneration(config)
    fill(model, seed, word_rows(tokenizer), tokenizer.eos_token_id, louder=LOUDER)
    return write(folder, model, processor, layout, OldFiles(processor=False), shards)
