"""Tiny BLIP-2 with OPT and T5, and InstructBLIP."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from .checkpoints import Layout, OldFiles, fill, write
from .tokenizers import byte_tokenizer, unigram_tokenizer, word_piece_tokenizer, word_rows

QUERIES, SIDE = 4, 32
LOUDER = {"embed_positions": 3.0, "relative_attention_bias": 8.0, "SelfAttention.q": 2.0, "EncDecAttention.o": 0.3}

_VISION: dict[str, Any] = {
    "hidden_size": 32, "intermediate_size": 48, "num_hidden_layers": 2, "num_attention_heads": 2, "image_size": SIDE,
    "patch_size": 8,
}  # fmt: skip
_QFORMER: dict[str, Any] = {
    "hidden_size": 32, "intermediate_size": 48, "num_hidden_layers": 2, "num_attention_heads": 2,
    "encoder_hidden_size": 32, "max_position_embeddings": 64,
}  # fmt: skip


def _opt() -> tuple[Any, Any, int]:
    """Tokenizer, configuration and image token of OPT: `</s>` begins every text and ends the answer."""
    from transformers import OPTConfig

    special = ("<s>", "<pad>", "</s>", "<unk>", "<image>")
    names = {"bos_token": "</s>", "eos_token": "</s>", "unk_token": "</s>", "pad_token": "<pad>"}
    tokenizer = byte_tokenizer(special, names, adds="</s> $A")
    config = OPTConfig(
        vocab_size=len(tokenizer), hidden_size=64, word_embed_proj_dim=64, ffn_dim=96, num_hidden_layers=2,
        num_attention_heads=4, max_position_embeddings=512, bos_token_id=2, eos_token_id=2, pad_token_id=1,
    )  # fmt: skip
    return tokenizer, config, 4


def _t5() -> tuple[Any, Any, int]:
    """Tokenizer, configuration and image token of Flan-T5: padding begins the answer, `</s>` ends texts and answers."""
    from transformers import T5Config

    special = ("<pad>", "</s>", "<unk>", "<image>")
    names = {"eos_token": "</s>", "unk_token": "<unk>", "pad_token": "<pad>"}
    tokenizer = unigram_tokenizer(special, names, adds="$A </s>")
    config = T5Config(
        vocab_size=len(tokenizer), d_model=48, d_kv=12, d_ff=64, num_layers=2, num_heads=4,
        feed_forward_proj="gated-gelu", tie_word_embeddings=False, decoder_start_token_id=0, eos_token_id=1,
        pad_token_id=0,
    )  # fmt: skip
    return tokenizer, config, 3


def _pixels() -> Any:
    from transformers import BlipImageProcessor

    return BlipImageProcessor(size={"height": SIDE, "width": SIDE})


def _write_blip2(folder: Path, text: tuple[Any, Any, int], layout: Layout, seed: int, shards: bool) -> Path:
    from transformers import (
        Blip2Config,
        Blip2ForConditionalGeneration,
        Blip2Processor,
        Blip2QFormerConfig,
        Blip2VisionConfig,
    )  # fmt: skip

    tokenizer, text_config, image = text
    config = Blip2Config(
        vision_config=Blip2VisionConfig(**_VISION).to_dict(), qformer_config=Blip2QFormerConfig(**_QFORMER).to_dict(),
        text_config=text_config.to_dict(), num_query_tokens=QUERIES, image_token_index=image, image_text_hidden_size=16,
    )  # fmt: skip
    model = Blip2ForConditionalGeneration(config)
    fill(model, seed, word_rows(tokenizer), text_config.eos_token_id, louder=LOUDER)
    processor = Blip2Processor(_pixels(), tokenizer, num_query_tokens=QUERIES)
    old = OldFiles(processor=False, tokenizer_class="GPT2Tokenizer" if image == 4 else "T5Tokenizer")
    return write(folder, model, processor, layout, old, shards)


def write_blip2_opt(folder: Path, layout: Layout = "5", seed: int = 3, shards: bool = False) -> Path:
    """BLIP-2 with OPT."""
    return _write_blip2(folder, _opt(), layout, seed, shards)


def write_blip2_t5(folder: Path, layout: Layout = "5", seed: int = 8, shards: bool = False) -> Path:
    """BLIP-2 with Flan-T5."""
    return _write_blip2(folder, _t5(), layout, seed, shards)


def write_instructblip(folder: Path, layout: Layout = "5", seed: int = 5, shards: bool = False) -> Path:
    """InstructBLIP with Flan-T5; the Q-Former reads the question, too, by a tokenizer of its own."""
    from transformers import (
        InstructBlipConfig,
        InstructBlipForConditionalGeneration,
        InstructBlipProcessor,
        InstructBlipQFormerConfig,
        InstructBlipVisionConfig,
    )  # fmt: skip

    tokenizer, text_config, image = _t5()
    reader = word_piece_tokenizer()
    former = {**_QFORMER, "vocab_size": len(reader)}
    config = InstructBlipConfig(
        vision_config=InstructBlipVisionConfig(**_VISION).to_dict(),
        qformer_config=InstructBlipQFormerConfig(**former).to_dict(), text_config=text_config.to_dict(),
        num_query_tokens=QUERIES, image_token_index=image,
    )  # fmt: skip
    model = InstructBlipForConditionalGeneration(config)
    fill(model, seed, word_rows(tokenizer), text_config.eos_token_id, louder=LOUDER)
    processor = InstructBlipProcessor(_pixels(), tokenizer, reader, num_query_tokens=QUERIES)
    return write(folder, model, processor, layout, OldFiles(processor=False, tokenizer_class="T5Tokenizer"), shards)
