"""Chat models of real sizes with random weights and processors of their own: nothing is downloaded.

Their words never end by themselves and do not repeat, so that every answer has the length that was asked for.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import torch

from benchmarks.models import SPOKEN_WORDS
from benchmarks.sizes import CHAT_MODELS, TINY_MODEL
from interrogator.captioners.named_prompts import NAMED_PROMPTS

_IMAGENET = ([0.485, 0.456, 0.406], [0.229, 0.224, 0.225])
_TEMPLATE = (
    "<|im_start|>{% for message in messages %}{{ message['role'] | capitalize }}"
    "{% if message['content'][0]['type'] == 'image' %}{{ ':' }}{% else %}{{ ': ' }}{% endif %}"
    "{% for part in message['content'] %}{% if part['type'] == 'text' %}{{ part['text'] }}"
    "{% elif part['type'] == 'image' %}{{ '<image>' }}{% endif %}{% endfor %}<end_of_utterance>\n{% endfor %}"
    "{% if add_generation_prompt %}{{ 'Assistant:' }}{% endif %}"
)


def write_smolvlm(folder: Path, tiny: bool = False) -> Path:
    """A folder with a SmolVLM2 of the sizes of HuggingFaceTB/SmolVLM2-256M-Video-Instruct."""
    from transformers import (
        LlamaConfig,
        SmolVLMConfig,
        SmolVLMForConditionalGeneration,
        SmolVLMImageProcessor,
        SmolVLMProcessor,
        SmolVLMVideoProcessor,
    )

    tile, patch, scale = (32, 8, 2) if tiny else (512, 16, 4)
    side = 2 * tile if tiny else 4 * tile
    special = (
        "<|im_start|>", "<end_of_utterance>", "<|im_end|>", "<fake_token_around_image>", "<image>", "<global-img>",
        *(f"<row_{row}_col_{column}>" for row in range(1, 7) for column in range(1, 7)),
    )  # fmt: skip
    names = {
        "bos_token": "<|im_start|>", "eos_token": "<end_of_utterance>", "pad_token": "<|im_end|>",
        "image_token": "<image>", "fake_image_token": "<fake_token_around_image>",
        "global_image_token": "<global-img>", "end_of_utterance_token": "<end_of_utterance>",
    }  # fmt: skip
    tokenizer, words = _tokenizer(special, names)
    tokenizer.chat_template = _TEMPLATE
    text = LlamaConfig(
        vocab_size=len(tokenizer) if tiny else 49280, hidden_size=64 if tiny else 576,
        intermediate_size=96 if tiny else 1536, num_hidden_layers=2 if tiny else 30,
        num_attention_heads=4 if tiny else 9, num_key_value_heads=2 if tiny else 3, max_position_embeddings=8192,
        rope_theta=100_000.0, bos_token_id=0, eos_token_id=1, pad_token_id=2, tie_word_embeddings=False,
    )  # fmt: skip
    vision = {
        "hidden_size": 32 if tiny else 768, "intermediate_size": 48 if tiny else 3072,
        "num_hidden_layers": 2 if tiny else 12, "num_attention_heads": 2 if tiny else 12, "image_size": tile,
        "patch_size": patch,
    }  # fmt: skip
    config = SmolVLMConfig(
        text_config=text.to_dict(), vision_config=vision, image_token_id=4, scale_factor=scale, pad_token_id=2,
        tie_word_embeddings=False,
    )  # fmt: skip
    model = _filled(SmolVLMForConditionalGeneration(config), words)
    sizes = {"size": {"longest_edge": side}, "max_image_size": {"longest_edge": tile}}
    pixels = SmolVLMImageProcessor(do_image_splitting=True, image_mean=[0.5] * 3, image_std=[0.5] * 3, **sizes)
    processor = SmolVLMProcessor(
        pixels, tokenizer, SmolVLMVideoProcessor(**sizes), image_seq_len=(tile // patch // scale) ** 2,
        chat_template=_TEMPLATE,
    )  # fmt: skip
    return _write(folder, model, processor)


def write_florence(folder: Path, tiny: bool = False) -> Path:
    """A folder with a Florence-2 of the sizes of florence-community/Florence-2-base."""
    from transformers import (
        BartConfig,
        CLIPImageProcessor,
        Florence2Config,
        Florence2ForConditionalGeneration,
        Florence2Processor,
        GenerationConfig,
    )

    names = {
        "bos_token": "<s>", "eos_token": "</s>", "unk_token": "<unk>", "pad_token": "<pad>", "mask_token": "<mask>"
    }  # fmt: skip
    special = ("<s>", "<pad>", "</s>", "<unk>", "<mask>", "<image>")
    tokenizer, words = _tokenizer(special, {**names, "image_token": "<image>"}, adds="<s> $A </s>")
    side, width = (64, 48) if tiny else (768, 768)
    ids = {
        "bos_token_id": 0, "pad_token_id": 1, "eos_token_id": 2, "decoder_start_token_id": 2, "forced_bos_token_id": 0,
        "forced_eos_token_id": 2,
    }  # fmt: skip
    vision = {
        "patch_size": [7, 3, 3, 3], "patch_stride": [4, 2, 2, 2], "patch_padding": [3, 1, 1, 1],
        "patch_prenorm": [False, True, True, True], "depths": [1, 1, 1, 1] if tiny else [1, 1, 9, 1],
        "embed_dim": [16, 16, 16, 32] if tiny else [128, 256, 512, 1024],
        "num_heads": [2, 2, 2, 4] if tiny else [4, 8, 16, 32], "num_groups": [2, 2, 2, 4] if tiny else [4, 8, 16, 32],
        "window_size": 2 if tiny else 12, "projection_dim": width, "max_temporal_embeddings": 100,
        "max_position_embeddings": 50,
    }  # fmt: skip
    layers, heads, inner = (2, 4, 64) if tiny else (6, 12, 3072)
    text = BartConfig(
        vocab_size=len(tokenizer) if tiny else 51289, d_model=width, encoder_layers=layers, decoder_layers=layers,
        encoder_attention_heads=heads, decoder_attention_heads=heads, encoder_ffn_dim=inner, decoder_ffn_dim=inner,
        max_position_embeddings=256 if tiny else 1024, no_repeat_ngram_size=3, **ids,
    )  # fmt: skip
    config = Florence2Config(
        vision_config=vision, text_config=text.to_dict(), image_token_id=tokenizer.image_token_id, **ids
    )
    model = _filled(Florence2ForConditionalGeneration(config), words)
    model.generation_config = GenerationConfig(no_repeat_ngram_size=3, num_beams=3, early_stopping=True, **ids)
    square = {"height": side, "width": side}
    pixels = CLIPImageProcessor(
        do_resize=True, size=square, do_center_crop=False, crop_size=square, resample=3, image_mean=_IMAGENET[0],
        image_std=_IMAGENET[1],
    )  # fmt: skip
    pixels.image_seq_length = (side // 32) ** 2 + 1
    return _write(folder, model, Florence2Processor(pixels, tokenizer))


def write_tiny(folder: Path) -> Path:
    """A tiny SmolVLM2, which only shows that everything runs."""
    return write_smolvlm(folder, tiny=True)


WRITERS = {**dict(zip(CHAT_MODELS, (write_smolvlm, write_florence), strict=True)), TINY_MODEL: write_tiny}
"""By the name of a model what writes it into a folder."""


def _tokenizer(special: Sequence[str], names: Mapping[str, str], adds: str | None = None) -> tuple[Any, list[int]]:
    """A byte-level BPE that spells everything and has a token for each word of the questions, and words to answer."""
    from tokenizers import Tokenizer, decoders, models, pre_tokenizers, processors
    from transformers import PreTrainedTokenizerFast

    vocabulary = {token: row for row, token in enumerate([*special, *sorted(pre_tokenizers.ByteLevel.alphabet())])}
    merges: list[tuple[str, str]] = []
    asked = sorted({word.strip(".,:") for text in NAMED_PROMPTS.values() for word in text.split()})
    syllables = [first + second for first in "bcdfghjklmnprstvw" for second in ("a", "e", "i", "o", "u")]
    spoken = [first + second for first in syllables for second in syllables][:SPOKEN_WORDS]
    for word in (*asked, *spoken):
        spelled = "Ġ" + word
        for end in range(2, len(spelled) + 1):
            if spelled[:end] not in vocabulary:
                vocabulary[spelled[:end]] = len(vocabulary)
                merges.append((spelled[: end - 1], spelled[end - 1]))
    tokenizer = Tokenizer(models.BPE(vocab=vocabulary, merges=merges))
    tokenizer.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=False)
    tokenizer.decoder = decoders.ByteLevel()
    tokenizer.add_special_tokens(list(special))
    if adds is not None:
        around = [(token, tokenizer.token_to_id(token)) for token in adds.split() if not token.startswith("$")]
        tokenizer.post_processor = processors.TemplateProcessing(single=adds, special_tokens=around)
    standard = {f"{name}_token" for name in ("bos", "eos", "unk", "sep", "pad", "cls", "mask")}
    own = {name: token for name, token in names.items() if name not in standard}
    wrapped = PreTrainedTokenizerFast(
        tokenizer_object=tokenizer, extra_special_tokens=own,
        **{name: token for name, token in names.items() if name in standard},
    )  # fmt: skip
    return wrapped, [vocabulary["Ġ" + word] for word in spoken]


def _filled(model: Any, words: Sequence[int]) -> Any:
    """The model with random weights under which it says `words` only, and what it says hangs on what it sees."""
    generator = torch.Generator().manual_seed(0)
    head = model.get_output_embeddings()
    with torch.no_grad():
        for name, parameter in model.named_parameters():
            if parameter.ndim < 2:  # of normalisations, and biases
                continue
            scale = float(parameter[0].numel()) ** -0.5
            if "q_proj" in name or "k_proj" in name:
                scale *= 2.0  # attention that chooses
            if "embed" in name or "shared" in name:
                scale = 0.1  # what was said last counts less than what the layers make of everything
            parameter.normal_(0.0, scale, generator=generator)
        spoken = torch.full((head.weight.shape[0], 1), 0.05)
        spoken[list(words)] = 1.0
        head.weight.mul_(spoken)
    return model.eval()


def _write(folder: Path, model: Any, processor: Any) -> Path:
    folder.mkdir(parents=True, exist_ok=True)
    model.save_pretrained(folder)
    processor.save_pretrained(folder)
    return folder
