"""Tiny random checkpoints of every family and role in the files of the hub: the one place where tests get them."""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

import torch
from PIL import Image
from safetensors.torch import save_file
from torch import nn

from interrogator.encoders.open_clip.files import CONFIG_FILE

from . import small_models, tiny_taggers
from .tiny_chat import write_florence2, write_llava
from .tiny_ram import write_ram

WORDS = "a an the picture photo of cat dog red blue green round big small on in with arafed sitting house tree".split()
VOCABULARY = [
    "[PAD]", "[UNK]", "[CLS]", "[SEP]", "[MASK]", *WORDS, "##s", "##ed", "##ing", ",", ".", "'"
]  # fmt: skip
START, ROWS = len(VOCABULARY), len(VOCABULARY) + 2  # as on the hub, the model has [DEC] and [ENC], vocab.txt has not
CLS, ENC = 2, START + 1
DECODER, BIAS = "text_decoder.cls.predictions.decoder", "text_decoder.cls.predictions.bias"
EMBEDDING = "text_decoder.bert.embeddings.word_embeddings.weight"

MEAN = [0.5, 0.4, 0.3]
"""Of the images of `write_open_clip`; not that of any published model."""


def write_blip(folder: Path, seed: int = 0, tie_word_embeddings: bool = True) -> Path:
    """A captioner in the files of Salesforce/blip-image-captioning-large, by whatever transformers is here."""
    from transformers import BlipConfig, BlipForConditionalGeneration

    size = {"hidden_size": 32, "intermediate_size": 48, "num_hidden_layers": 2, "num_attention_heads": 4}
    ids = {"bos_token_id": START, "sep_token_id": 3, "eos_token_id": 2, "pad_token_id": 0}
    tie = {"tie_word_embeddings": tie_word_embeddings}
    text = {**size, **ids, **tie, "vocab_size": ROWS, "max_position_embeddings": 64}
    config = BlipConfig(
        text_config=text, vision_config={**size, "image_size": 32, "patch_size": 8}, **tie,
        architectures=["BlipForConditionalGeneration"],
    )  # fmt: skip
    model = BlipForConditionalGeneration(config)
    generator = torch.Generator().manual_seed(seed)
    with torch.no_grad():  # the usual start is so small that every image would get the same caption
        for parameter in model.parameters():
            if parameter.ndim > 1:
                parameter.normal_(0.0, 0.3, generator=generator)
        decoder = model.text_decoder.cls.predictions.decoder
        decoder.weight.copy_(model.get_input_embeddings().weight)  # trained as one; 4.50 builds two
        model.text_decoder.cls.predictions.bias.normal_(0.0, 0.5, generator=generator)
    state = _state(model)
    for name in (f"{DECODER}.weight", f"{DECODER}.bias", "text_decoder.bert.embeddings.position_ids"):
        state.pop(name, None)
    _write(folder, config, state)
    return folder


def write_matcher(folder: Path, seed: int = 0, rows: int = ROWS) -> Path:
    """A matcher in the files of Salesforce/blip-itm-base-coco, by whatever transformers is here."""
    from transformers import BlipConfig, BlipForImageTextRetrieval

    size = {"hidden_size": 32, "intermediate_size": 48, "num_hidden_layers": 2, "num_attention_heads": 4}
    ids = {"bos_token_id": START, "sep_token_id": 3, "eos_token_id": 2, "pad_token_id": 0}
    text = {**size, **ids, "vocab_size": rows, "max_position_embeddings": 64, "encoder_hidden_size": 48}
    vision = {**size, "hidden_size": 48, "image_size": 32, "patch_size": 8}
    config = BlipConfig(
        text_config=text, vision_config=vision, image_text_hidden_size=16, architectures=["BlipForImageTextRetrieval"]
    )
    model = BlipForImageTextRetrieval(config)
    generator = torch.Generator().manual_seed(seed)
    with torch.no_grad():
        for parameter in model.parameters():
            if parameter.ndim > 1:
                parameter.normal_(0.0, 0.3, generator=generator)
    _write(folder, config, _state(model))
    return folder


def write_processor(folder: Path, vocabulary: list[str], size: int) -> None:
    """Tokenizer and image processor of a BLIP in the files of transformers 4."""
    (folder / "vocab.txt").write_text("\n".join(vocabulary) + "\n", encoding="utf-8")
    special = {f"{name}_token": f"[{name.upper()}]" for name in ("cls", "mask", "pad", "sep", "unk")}
    tokenizer = {**special, "do_lower_case": True, "model_max_length": 512, "tokenizer_class": "BertTokenizer"}
    image = {
        "do_normalize": True, "do_rescale": True, "do_resize": True, "do_convert_rgb": True, "resample": 3,
        "image_mean": [0.48145466, 0.4578275, 0.40821073], "image_std": [0.26862954, 0.26130258, 0.27577711],
        "image_processor_type": "BlipImageProcessor", "processor_class": "BlipProcessor",
        "rescale_factor": 1 / 255, "size": {"height": size, "width": size}, "size_divisor": None,
    }  # fmt: skip
    for name, content in (
        ("tokenizer_config.json", tokenizer),
        ("special_tokens_map.json", special),
        ("preprocessor_config.json", image),
    ):
        (folder / name).write_text(json.dumps(content), encoding="utf-8")


def write_open_clip(
    folder: Path,
    model: nn.Module | None = None,
    text_cfg: Mapping[str, Any] = small_models.TEXT,
    name: str = "open_clip_model.safetensors",
) -> Path:
    """An encoder as open_clip publishes models: configuration and weights; by default a ViT."""
    folder.mkdir(parents=True, exist_ok=True)
    config = {
        "model_cfg": {"embed_dim": small_models.WIDTH, "vision_cfg": small_models.VISION, "text_cfg": dict(text_cfg)},
        "preprocess_cfg": {"mean": MEAN, "std": [0.2, 0.2, 0.2]},
    }
    (folder / CONFIG_FILE).write_text(json.dumps(config), encoding="utf-8")
    weights = {name: value.contiguous() for name, value in (model or small_models.vit()).state_dict().items()}
    if name.endswith(".safetensors"):
        save_file(weights, folder / name)
    else:
        torch.save(weights, folder / name)
    return folder


def write_coca(folder: Path, seed: int = 0, **text: Any) -> Path:
    """A CoCa as open_clip publishes it: a captioner, and an encoder as well. text: settings of its text tower."""
    model, settings = small_models.coca_and_settings(seed, **text)
    write_open_clip(folder, model)
    config = json.loads((folder / CONFIG_FILE).read_text(encoding="utf-8"))
    config["model_cfg"] = settings
    (folder / CONFIG_FILE).write_text(json.dumps(config), encoding="utf-8")
    return folder


WRITERS: Mapping[tuple[str, str], Callable[[Path], Path]] = {
    ("blip", "captioner"): write_blip,
    ("blip", "matcher"): write_matcher,
    ("chat", "captioner"): write_llava,
    ("florence2", "captioner"): write_florence2,
    ("coca", "captioner"): write_coca,
    ("open_clip", "encoder"): write_open_clip,
    ("ram", "tagger"): write_ram,
    ("wd-tagger", "tagger"): tiny_taggers.write_wd_timm,
    ("cl-tagger", "tagger"): tiny_taggers.write_cl,
    ("camie-tagger", "tagger"): tiny_taggers.write_camie,
    ("joytag", "tagger"): tiny_taggers.write_joytag,
}
"""By family and role what writes a checkpoint into a folder."""


def prepared(model: Any, images: Sequence[Image.Image]) -> list[Any]:
    """Images as a model reads them."""
    return [model.prepare(image) for image in images]


def _state(model: nn.Module) -> dict[str, torch.Tensor]:
    return {name: tensor.clone().contiguous() for name, tensor in model.state_dict().items()}


def _write(folder: Path, config: Any, state: Mapping[str, torch.Tensor]) -> None:
    folder.mkdir(parents=True, exist_ok=True)
    save_file(dict(state), folder / "model.safetensors", metadata={"format": "pt"})
    (folder / "config.json").write_text(config.to_json_string(use_diff=False), encoding="utf-8")
    write_processor(folder, VOCABULARY, 32)
