"""Small random open_clip models of every kind the library meets, with tokenizers, phrases and pictures for them.

Random weights as open_clip draws them answer every text alike; `spread` draws them wider, so that similarities differ
by far more than a tie (`interrogator.ranking.TIE`) and a comparison of prompts means something.
"""

from __future__ import annotations

import re
import string
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import open_clip
import torch
from open_clip.coca_model import CoCa
from open_clip.model import CLIP, CustomTextCLIP
from open_clip.tokenizer import HFTokenizer, SimpleTokenizer
from PIL import Image, ImageDraw
from torch import Tensor, nn

from interrogator import OpenClipEncoder, load_banks

IMAGE_SIZE = 32
WIDTH = 32
CONTEXT = 77
VOCABULARY = 49408  # of open_clip's own tokenizer

COMMON_WORDS = (
    "a an and ball beard beside blue cat children close day dog dogs fork front house in it knife long man mat news "
    "next of old on one painting plate reads red sea sits spoon table the three to two up white who window with wooden"
)

VISION: dict[str, Any] = {"image_size": IMAGE_SIZE, "layers": 2, "width": WIDTH, "head_width": 16, "patch_size": 8}
RESNET_VISION: dict[str, Any] = {"image_size": IMAGE_SIZE, "layers": [1, 1, 1, 1], "width": 8, "head_width": 64}
TEXT: dict[str, Any] = {"context_length": CONTEXT, "vocab_size": VOCABULARY, "width": WIDTH, "heads": 2, "layers": 2}


def spread(model: nn.Module, seed: int = 0) -> Any:
    """The model with all parameters drawn anew, wide enough that different inputs get clearly different answers."""
    generator = torch.Generator().manual_seed(seed)
    with torch.no_grad():
        for name, parameter in model.named_parameters():
            if parameter.ndim < 2 and name.endswith("weight"):  # of a normalisation
                parameter.fill_(1.0)
            elif parameter.numel() > 1:
                scale = 1.5 * float(parameter[0].numel()) ** -0.5
                if "embedding" in name:
                    scale = 0.3 if "position" in name else 1.0
                elif parameter.ndim < 2:
                    scale = 0.1
                parameter.copy_(torch.randn(parameter.shape, generator=generator) * scale)
    return model.eval().requires_grad_(False)


def vit(seed: int = 0, quick_gelu: bool = False, **text: Any) -> CLIP:
    """A ViT with open_clip's own causal text tower; `text` goes into the text tower's configuration."""
    return spread(CLIP(WIDTH, VISION, {**TEXT, **text}, quick_gelu=quick_gelu), seed)


def resnet(seed: int = 0) -> CLIP:
    """A ResNet in place of the ViT, its batch statistics taken from noise so that pictures differ in the end."""
    model: CLIP = spread(CLIP(WIDTH, RESNET_VISION, TEXT), seed)
    noise = torch.randn(64, 3, IMAGE_SIZE, IMAGE_SIZE, generator=torch.Generator().manual_seed(seed))
    for module in model.visual.modules():
        if isinstance(module, nn.BatchNorm2d):
            module.momentum = None  # statistics are a plain mean over the batches seen
    model.visual.train()
    with torch.no_grad():
        model.encode_image(noise)
    return model.eval()


def custom_text(seed: int = 0, **text: Any) -> CustomTextCLIP:
    """A ViT and a text tower in a module of its own, as most newer models have it."""
    return spread(CustomTextCLIP(WIDTH, VISION, {**TEXT, **text}), seed)


def siglip_like(seed: int = 0) -> CustomTextCLIP:
    """A text tower that sees its padding and pools the last place, which mostly is padding."""
    return custom_text(seed, context_length=16, no_causal_mask=True, pool_type="last", proj_bias=True)


def eos_pooling(seed: int = 0) -> CustomTextCLIP:
    """A causal text tower that pools at the end token by its id."""
    return custom_text(seed, pool_type="eos", eos_id=SimpleTokenizer().eot_token_id)


def coca(seed: int = 0, context_length: int = 76) -> CoCa:
    """A CoCa: its class token stands behind the padding."""
    return coca_and_settings(seed, context_length=context_length)[0]


def coca_and_settings(seed: int = 0, **text: Any) -> tuple[CoCa, dict[str, Any]]:
    """A CoCa and its configuration as open_clip writes it; `text` goes into that of its text tower."""
    text_cfg = {**TEXT, "context_length": 76, "embed_cls": True, "output_tokens": True, **text}
    pool = {"attentional_pool": True, "attn_pooler_heads": 2, "attn_pooler_queries": 8, "output_tokens": True}
    shared = {"context_length": text_cfg["context_length"], "vocab_size": VOCABULARY, "width": WIDTH, "heads": 2}
    settings: dict[str, Any] = {
        "embed_dim": WIDTH, "vision_cfg": {**VISION, **pool}, "text_cfg": text_cfg,
        "multimodal_cfg": {**shared, "layers": 2},
    }  # fmt: skip
    return spread(CoCa(**settings), seed), {**settings, "custom_text": True}


def hf_text(folder: Path, seed: int = 0) -> CustomTextCLIP:
    """A ViT and the Hugging Face text tower that `folder` describes (see `write_hf_folder`)."""
    return spread(CustomTextCLIP(WIDTH, VISION, hf_text_cfg(folder)), seed)


def hf_text_cfg(folder: Path | str) -> dict[str, Any]:
    """open_clip's configuration of a Hugging Face text tower and tokenizer in a folder."""
    return {
        "hf_model_name": str(folder),
        "hf_tokenizer_name": str(folder),
        "hf_model_pretrained": False,
        "hf_pooler_type": "mean_pooler",
        "hf_proj_type": "mlp",
        "context_length": CONTEXT,
    }


def write_hf_folder(folder: Path, pad_id: int = 0) -> Path:
    """A word-piece tokenizer and the config.json of a small text tower: BERT for padding 0, RoBERTa for padding 1."""
    from tokenizers import Tokenizer, models, normalizers, pre_tokenizers, processors
    from transformers import BertConfig, PreTrainedTokenizerFast, RobertaConfig

    special = ["[PAD]", "[CLS]", "[SEP]", "[UNK]", "[BOS]", "[EOS]"]
    special.insert(pad_id, special.pop(0))
    characters = [*string.ascii_lowercase, *string.digits, *string.punctuation]
    words = {word for bank in load_banks() for phrase in bank.phrases for word in re.findall("[a-z]+", phrase.lower())}
    words |= set(COMMON_WORDS.split())
    # Every word may also end another, as syllables do in a real vocabulary: two words run together are two tokens.
    entries = [*special, *characters, *("##" + c for c in characters), *sorted(words), *sorted("##" + w for w in words)]
    vocabulary = {entry: place for place, entry in enumerate(dict.fromkeys(entries))}
    tokenizer = Tokenizer(models.WordPiece(vocabulary, unk_token="[UNK]"))
    tokenizer.normalizer = normalizers.BertNormalizer(lowercase=True)
    tokenizer.pre_tokenizer = pre_tokenizers.BertPreTokenizer()
    ends = [("[CLS]", vocabulary["[CLS]"]), ("[SEP]", vocabulary["[SEP]"])]
    tokenizer.post_processor = processors.TemplateProcessing(single="[CLS] $A [SEP]", special_tokens=ends)
    PreTrainedTokenizerFast(
        tokenizer_object=tokenizer, pad_token="[PAD]", unk_token="[UNK]", cls_token="[CLS]", sep_token="[SEP]",
        bos_token="[BOS]", eos_token="[EOS]",
    ).save_pretrained(folder)  # fmt: skip
    kind: Callable[..., Any] = RobertaConfig if pad_id else BertConfig
    kind(
        vocab_size=len(vocabulary), hidden_size=WIDTH, num_hidden_layers=2, num_attention_heads=2,
        intermediate_size=2 * WIDTH, max_position_embeddings=CONTEXT + 1 + pad_id, pad_token_id=pad_id,
    ).save_pretrained(folder)  # fmt: skip
    return folder


def simple_tokenizer(model: Any) -> SimpleTokenizer:
    """open_clip's own tokenizer at a model's context length."""
    return SimpleTokenizer(context_length=model.context_length)


def hf_tokenizer(folder: Path, mode: str | None = None, context_length: int = CONTEXT, **settings: Any) -> HFTokenizer:
    """The tokenizer that `write_hf_folder` wrote, as open_clip wraps it."""
    return HFTokenizer(str(folder), context_length=context_length, tokenizer_mode=mode, **settings)


def preprocess() -> Callable[[Image.Image], Tensor]:
    """open_clip's image transform for these models."""
    return open_clip.image_transform(IMAGE_SIZE, is_train=False)  # type: ignore[no-any-return]


def encoder(
    model: Any, tokenizer: Any = None, name: str = "small", dtype: torch.dtype | None = None
) -> OpenClipEncoder:
    """The library's encoder around a small model; with open_clip's own tokenizer unless another is given."""
    return OpenClipEncoder(model, preprocess(), tokenizer or simple_tokenizer(model), name, dtype)


def some_phrases(each: int) -> list[str]:
    """About `each` phrases from every built-in bank, evenly over its length, without commas."""
    chosen: list[str] = []
    for bank in load_banks():
        phrases = [phrase for phrase in bank.phrases if "," not in phrase]
        chosen += phrases[:: max(1, len(phrases) // each)][:each]
    return chosen


def pictures(count: int = 20, seed: int = 0) -> list[Image.Image]:
    """Pictures as unlike each other as simple ones can be: noise, gradients, shapes, stripes and checks in turn."""
    rng = np.random.default_rng(seed)
    kinds = (_noise, _gradient, _shapes, _stripes, _checks)
    return [kinds[number % len(kinds)](rng) for number in range(count)]


def _size(rng: np.random.Generator) -> tuple[int, int]:
    return int(rng.integers(32, 80)), int(rng.integers(32, 80))


def _colour(rng: np.random.Generator) -> tuple[int, int, int]:
    red, green, blue = rng.integers(0, 256, 3).tolist()
    return red, green, blue


def _noise(rng: np.random.Generator) -> Image.Image:
    width, height = _size(rng)
    values = rng.normal(rng.integers(40, 216, 3), rng.integers(10, 90), (height, width, 3))
    return Image.fromarray(values.clip(0, 255).astype(np.uint8))


def _gradient(rng: np.random.Generator) -> Image.Image:
    width, height = _size(rng)
    across = np.linspace(0, 1, width)[None, :, None]  # [1, W, 1]
    down = np.linspace(0, 1, height)[:, None, None]  # [H, 1, 1]
    corners = rng.integers(0, 256, (3, 3))
    values = corners[0] + (corners[1] - corners[0]) * across + (corners[2] - corners[0]) * down
    return Image.fromarray(values.clip(0, 255).astype(np.uint8))


def _shapes(rng: np.random.Generator) -> Image.Image:
    picture = Image.new("RGB", _size(rng), _colour(rng))
    draw = ImageDraw.Draw(picture)
    for form in (draw.ellipse, draw.rectangle, draw.ellipse):
        x, y, side = (int(value) for value in rng.integers(4, 40, 3))
        form((x, y, x + side, y + side), fill=_colour(rng))
    return picture


def _stripes(rng: np.random.Generator) -> Image.Image:
    picture = Image.new("RGB", _size(rng), _colour(rng))
    draw = ImageDraw.Draw(picture)
    gap = int(rng.integers(5, 14))
    lean = int(rng.integers(0, 60))
    for x in range(-60, 140, gap):
        draw.line((x, 0, x + lean, picture.height), fill=_colour(rng), width=gap // 2)
    return picture


def _checks(rng: np.random.Generator) -> Image.Image:
    width, height = _size(rng)
    field = int(rng.integers(3, 12))
    dark, light = np.array(_colour(rng)), np.array(_colour(rng))
    rows, columns = np.indices((height, width)) // field
    odd = ((rows + columns) % 2)[..., None]  # [H, W, 1]
    return Image.fromarray((dark * odd + light * (1 - odd)).astype(np.uint8))


def unit_rows(rows: Tensor) -> Tensor:
    """Rows [N, D] in float32 at unit length."""
    return nn.functional.normalize(rows.float(), dim=-1)


def expected_texts(model: Any, tokenizer: Any, texts: Sequence[str]) -> Tensor:
    """What the model itself answers to fully padded texts: unit rows [N, D]."""
    with torch.no_grad():
        return unit_rows(model.encode_text(tokenizer(list(texts))))
