"""Models of real sizes with random weights: nothing is downloaded, and speed does not depend on the weights.

With open_clip's own initialisation all texts get nearly the same embedding. With a wider one, similarities of phrases
with a picture spread over about 1e-2, like those of trained models, and activations stay well within half precision.
"""

from __future__ import annotations

import copy
import json
from collections import Counter
from collections.abc import Callable, Iterable
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import open_clip
import torch
from open_clip.model import CLIP, convert_weights_to_lp
from PIL import Image
from safetensors.torch import save_file
from torch import Tensor, nn

from benchmarks.sizes import TINY_MODEL
from interrogator import OpenClipEncoder
from interrogator.devices import choose_dtype

MEAN, STD = (0.48145466, 0.4578275, 0.40821073), (0.26862954, 0.26130258, 0.27577711)
TINY_CONFIG: dict[str, Any] = {
    "embed_dim": 32,
    "vision_cfg": {"image_size": 32, "layers": 2, "width": 32, "head_width": 16, "patch_size": 8},
    "text_cfg": {"context_length": 77, "vocab_size": 49408, "width": 32, "heads": 2, "layers": 2},
}
TINY_BLIP = {"hidden_size": 32, "intermediate_size": 64, "num_hidden_layers": 2, "num_attention_heads": 4}
_BASE_BERT = {"hidden_size": 768, "intermediate_size": 3072, "num_hidden_layers": 12, "num_attention_heads": 12}
_LARGE_VISION = {"hidden_size": 1024, "intermediate_size": 4096, "num_hidden_layers": 24, "num_attention_heads": 16}
# Vision and text side of Salesforce/blip-image-captioning-base and -large; both texts have the sizes of BERT base.
BLIPS = {"blip-base": (_BASE_BERT, _BASE_BERT), "blip-large": (_LARGE_VISION, _BASE_BERT)}
BLIP_SPECIAL = ("[PAD]", "[UNK]", "[CLS]", "[SEP]", "[MASK]")
BLIP_WORDS = 30522
SPOKEN_WORDS = 1000  # common words, about one CLIP token each, like those of a real caption


@dataclass(frozen=True)
class Clip:
    """An open_clip model with its preprocessing and tokenizer, for both sides."""

    name: str
    model: Any
    preprocess: Callable[[Image.Image], Tensor]
    tokenizer: Any

    @property
    def width(self) -> int:
        """W, the width of the text tower."""
        return int(self.model.ln_final.weight.shape[0])

    @property
    def layers(self) -> int:
        """L, the layers of the text tower."""
        return len(self.model.transformer.resblocks)

    @property
    def embed_dim(self) -> int:
        """D, the length of an embedding."""
        return int(self.model.text_projection.shape[1])

    def encoder(self, dtype: torch.dtype | None = None) -> OpenClipEncoder:
        """Our encoder around the model; None computes in the dtype of the weights."""
        return OpenClipEncoder(self.model, self.preprocess, self.tokenizer, f"{self.name}/random", dtype)

    def default_encoder(self) -> OpenClipEncoder:
        """Our encoder with the default dtype of `OpenClipEncoder.load`."""
        return self.encoder(choose_dtype("auto", self.encoder().device))

    def on(self, device: str) -> Clip:
        """The same weights on another device, in float32."""
        return self if device == "cpu" else replace(self, model=copy.deepcopy(self.model).to(device))

    def as_peer_default(self, device: str) -> Clip:
        """The same weights in the peer's default dtype: fp16 on cuda, else float32."""
        moved = self.on(device)
        if device == "cuda":
            convert_weights_to_lp(moved.model, dtype=torch.float16)
        return moved


def clip(name: str, seed: int = 0, **text: Any) -> Clip:
    """A model of this architecture with random weights, reproducible by seed.

    text: overrides for the text tower, such as `no_causal_mask`.
    """
    config = config_of(name)
    config["text_cfg"] = {**config["text_cfg"], **text}
    torch.manual_seed(seed)
    own = name == TINY_MODEL or text
    model = spread(CLIP(**config) if own else open_clip.create_model(name, pretrained=None), seed)
    preprocess = open_clip.image_transform(config["vision_cfg"]["image_size"], is_train=False)
    tokenizer = open_clip.get_tokenizer("ViT-B-32" if name == TINY_MODEL else name)
    return Clip(name, model, preprocess, tokenizer)


def config_of(name: str) -> dict[str, Any]:
    """An architecture's configuration as open_clip writes it."""
    config = TINY_CONFIG if name == TINY_MODEL else open_clip.get_model_config(name)
    if config is None or "hf_model_name" in config["text_cfg"] or "custom_text" in config:
        raise SystemExit(f"{name}: the benchmarks support only open_clip's CLIP models with its own text tower")
    return dict(config)


def spread(model: nn.Module, seed: int) -> Any:
    """The model with all parameters drawn again, so that different inputs give different outputs."""
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
                parameter.normal_(0.0, scale, generator=generator)
    return model.eval().requires_grad_(False)


def write_clip(folder: Path, name: str) -> Path:
    """A folder with a random model, which open_clip and the library load as `local-dir:FOLDER`."""
    folder.mkdir(parents=True, exist_ok=True)
    config = {"model_cfg": config_of(name), "preprocess_cfg": {"mean": MEAN, "std": STD}}
    (folder / "open_clip_config.json").write_text(json.dumps(config), encoding="utf-8")
    state = {key: value.contiguous() for key, value in clip(name).model.state_dict().items()}
    save_file(state, folder / "open_clip_model.safetensors")
    return folder


def write_blip(folder: Path, phrases: Iterable[str], name: str) -> Path:
    """A folder with a random BLIP, one of `BLIPS` or `TINY_MODEL`, laid out like Salesforce's on the hub.

    Its vocabulary is the commonest words of `phrases`. It says none but common words and no special token, so a
    caption is as long as it may be.
    """
    from transformers import BlipConfig, BlipForConditionalGeneration

    words = Counter(word for phrase in phrases for word in phrase.lower().split() if word.isascii() and word.isalpha())
    vocabulary = [*BLIP_SPECIAL, *(word for word, _ in words.most_common(BLIP_WORDS - len(BLIP_SPECIAL)))]
    tiny = name == TINY_MODEL
    start = len(vocabulary)  # [DEC], which as on the hub the model has and vocab.txt has not; [ENC] follows
    rows = start + 2 if tiny else BLIP_WORDS + 2
    image_size, patch_size = (32, 8) if tiny else (384, 16)
    vision, text = (TINY_BLIP, TINY_BLIP) if tiny else BLIPS[name]
    ids = {"bos_token_id": start, "sep_token_id": BLIP_SPECIAL.index("[SEP]"), "eos_token_id": 2, "pad_token_id": 0}
    torch.manual_seed(0)
    model: Any = BlipForConditionalGeneration(
        BlipConfig(
            text_config={**text, **ids, "vocab_size": rows, "encoder_hidden_size": vision["hidden_size"]},
            vision_config={**vision, "image_size": image_size, "patch_size": patch_size},
        )
    ).eval()
    with torch.no_grad():
        head = model.text_decoder.cls.predictions
        head.bias[: len(BLIP_SPECIAL)] = -1e4
        head.bias[len(BLIP_SPECIAL) + SPOKEN_WORDS :] = -1e4
        head.bias[start:] = -1e4
        head.decoder.weight.copy_(model.get_input_embeddings().weight)
        head.decoder.bias.copy_(head.bias)
    folder.mkdir(parents=True, exist_ok=True)
    state = {name: tensor.clone().contiguous() for name, tensor in model.state_dict().items()}
    save_file(state, folder / "model.safetensors", metadata={"format": "pt"})
    (folder / "config.json").write_text(model.config.to_json_string(use_diff=False), encoding="utf-8")
    _write_blip_processor(folder, vocabulary, image_size)
    return folder


def _write_blip_processor(folder: Path, vocabulary: list[str], image_size: int) -> None:
    (folder / "vocab.txt").write_text("\n".join(vocabulary) + "\n", encoding="utf-8")
    special = {f"{name}_token": f"[{name.upper()}]" for name in ("cls", "mask", "pad", "sep", "unk")}
    tokenizer = {**special, "do_lower_case": True, "model_max_length": 512, "tokenizer_class": "BertTokenizer"}
    image = {
        "do_normalize": True, "do_rescale": True, "do_resize": True, "do_convert_rgb": True, "resample": 3,
        "image_mean": MEAN, "image_std": STD, "image_processor_type": "BlipImageProcessor",
        "processor_class": "BlipProcessor", "rescale_factor": 1 / 255,
        "size": {"height": image_size, "width": image_size},
    }  # fmt: skip
    for name, content in (
        ("tokenizer_config.json", tokenizer),
        ("special_tokens_map.json", special),
        ("preprocessor_config.json", image),
    ):
        (folder / name).write_text(json.dumps(content), encoding="utf-8")
