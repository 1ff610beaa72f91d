"""Train the tiny BLIP: its image tower starts as the classifier, its decoder learns to put it into captions."""

from __future__ import annotations

import json
import logging
import time
from pathlib import Path
from typing import Any, cast

import torch
from safetensors.torch import save_file
from torch import Tensor, nn

from ..attributes import FEATURES
from .classifier import optimizer_of, schedule
from .data import IMAGE_SIZE, MEAN, STD, Pictures, augmented, batches
from .encoder import VISION
from .vocabulary import write_caption_tokenizer

LOGGER = logging.getLogger("interrogator")

TEXT_WIDTH = 128
FEATURE_WEIGHT = 3.0
"""How much more the words about a feature count: they are the smallest things in a picture."""


def prepare(folder: Path) -> nn.Module:
    """Write tokenizer, preprocessor and configuration, and return the untrained model they describe."""
    from transformers import BlipConfig, BlipForConditionalGeneration

    tokens = write_caption_tokenizer(folder)
    content = configuration(tokens)
    _write_json(folder / "config.json", content)
    _write_json(folder / "preprocessor_config.json", _preprocessor())
    text = content["text_config"]
    generation = {name: text[name] for name in ("bos_token_id", "eos_token_id", "pad_token_id")}
    _write_json(folder / "generation_config.json", {"_from_model_config": True, **generation})
    torch.manual_seed(4)
    return cast(nn.Module, BlipForConditionalGeneration(BlipConfig(**content)))


def configuration(tokens: list[str]) -> dict[str, Any]:
    """config.json in the layout of Salesforce/blip-image-captioning-base, with this model's sizes."""
    text = {
        "model_type": "blip_text_model",
        "vocab_size": len(tokens),
        "hidden_size": TEXT_WIDTH,
        "encoder_hidden_size": VISION["width"],
        "intermediate_size": 3 * TEXT_WIDTH,
        "projection_dim": TEXT_WIDTH,
        "num_hidden_layers": 3,
        "num_attention_heads": 4,
        "max_position_embeddings": 64,
        "hidden_act": "gelu",
        "layer_norm_eps": 1e-12,
        "hidden_dropout_prob": 0.0,
        "attention_probs_dropout_prob": 0.0,
        "initializer_range": 0.02,
        "is_decoder": True,
        "use_cache": True,
        "bos_token_id": tokens.index("[DEC]"),
        # As in the real one, generation stops at [SEP]; this id is only carried along.
        "eos_token_id": 2,
        "pad_token_id": tokens.index("[PAD]"),
        "sep_token_id": tokens.index("[SEP]"),
    }
    vision = {
        "model_type": "blip_vision_model",
        "hidden_size": VISION["width"],
        "intermediate_size": round(VISION["mlp_ratio"] * VISION["width"]),
        "projection_dim": TEXT_WIDTH,
        "num_hidden_layers": VISION["layers"],
        "num_attention_heads": VISION["width"] // VISION["head_width"],
        "image_size": IMAGE_SIZE,
        "patch_size": VISION["patch_size"],
        "hidden_act": "gelu",
        "layer_norm_eps": 1e-5,
        "attention_dropout": 0.0,
        "initializer_range": 0.02,
    }
    return {
        "architectures": ["BlipForConditionalGeneration"],
        "model_type": "blip",
        "image_text_hidden_size": TEXT_WIDTH,
        "projection_dim": TEXT_WIDTH,
        "initializer_factor": 1.0,
        "logit_scale_init_value": 2.6592,
        "torch_dtype": "float32",
        "text_config": text,
        "vision_config": vision,
    }


def _preprocessor() -> dict[str, Any]:
    return {
        "image_processor_type": "BlipImageProcessor",
        "processor_class": "BlipProcessor",
        "do_convert_rgb": True,
        "do_resize": True,
        "size": {"height": IMAGE_SIZE, "width": IMAGE_SIZE},
        "resample": 3,
        "do_rescale": True,
        "rescale_factor": 1 / 255,
        "do_normalize": True,
        "image_mean": list(MEAN),
        "image_std": list(STD),
    }


def take_image_tower(model: Any, tower: nn.Module) -> None:
    """Copy an open_clip image tower without a pre-norm into BLIP's, layer by layer."""
    source = {name: tensor for name, tensor in tower.state_dict().items() if name != "proj"}
    width = source["class_embedding"].shape[0]
    target = {
        "embeddings.class_embedding": source["class_embedding"].view(1, 1, width),
        "embeddings.patch_embedding.weight": source["conv1.weight"],
        # BLIP's patches have a bias, open_clip's do not.
        "embeddings.patch_embedding.bias": torch.zeros(width),
        "embeddings.position_embedding": source["positional_embedding"].unsqueeze(0),
        "post_layernorm.weight": source["ln_post.weight"],
        "post_layernorm.bias": source["ln_post.bias"],
    }
    names = {
        "ln_1": "layer_norm1",
        "ln_2": "layer_norm2",
        "attn.out_proj": "self_attn.projection",
        "mlp.c_fc": "mlp.fc1",
        "mlp.c_proj": "mlp.fc2",
    }
    for layer in range(VISION["layers"]):
        ours, theirs = f"transformer.resblocks.{layer}", f"encoder.layers.{layer}"
        for end in ("weight", "bias"):
            target[f"{theirs}.self_attn.qkv.{end}"] = source[f"{ours}.attn.in_proj_{end}"]
            for name, other in names.items():
                target[f"{theirs}.{other}.{end}"] = source[f"{ours}.{name}.{end}"]
    model.vision_model.load_state_dict(target)


def caption_ids(captions: list[str], tokens: list[str]) -> Tensor:
    """[DEC] words [SEP], padded to the longest, [N, L]. Every word of a caption is one token."""
    index = {token: i for i, token in enumerate(tokens)}
    rows = [[index["[DEC]"], *(index[word] for word in caption.split()), index["[SEP]"]] for caption in captions]
    length = max(len(row) for row in rows)
    return torch.tensor([row + [index["[PAD]"]] * (length - len(row)) for row in rows])


def train(
    model: Any, pictures: Pictures, tokens: list[str], epochs: float, rate: float, train_tower: bool, batch: int = 64
) -> None:
    """Teach captions; without `train_tower` only the decoder learns."""
    all_ids = caption_ids([truth.caption for truth in pictures.truths], tokens)
    weights = _word_weights(tokens)
    generator = torch.Generator().manual_seed(5)
    optimizer = optimizer_of((model if train_tower else model.text_decoder,), rate)
    total = round(len(pictures.pixels) * epochs / batch)
    begun = time.monotonic()
    model.train()
    for step, picked in enumerate(batches(len(pictures.pixels), batch, epochs, generator)):
        for group in optimizer.param_groups:
            group["lr"] = schedule(step, total, rate, warmup=50)
        loss = caption_loss(model, augmented(pictures.pixels[picked]), all_ids[picked], weights, train_tower)
        optimizer.zero_grad()
        torch.autograd.backward(loss)
        nn.utils.clip_grad_norm_(model.parameters(), 1.0)
        optimizer.step()
        if step % 50 == 0:
            LOGGER.info("captioner %d/%d loss %.4f %.0f s", step, total, loss.item(), time.monotonic() - begun)
    model.eval()


def _word_weights(tokens: list[str]) -> Tensor:
    """Each token's share in the loss, [V]; none for padding."""
    feature_words = (*FEATURES, "with", "on")  # after the kind comes either `with` a feature or `on` a background
    weights = [FEATURE_WEIGHT if token in feature_words else 1.0 for token in tokens]
    weights[tokens.index("[PAD]")] = 0.0
    return torch.tensor(weights)


def caption_loss(model: Any, pixels: Tensor, ids: Tensor, word_weights: Tensor, train_tower: bool) -> Tensor:
    """Weighted cross entropy of the next token, pixels [B, 3, H, W], ids [B, L], word_weights [V]."""
    with torch.set_grad_enabled(train_tower):
        states = model.vision_model(pixel_values=pixels).last_hidden_state  # [B, patches + 1, D]
    mask = (ids != 0).long()
    logits = model.text_decoder(
        input_ids=ids[:, :-1], attention_mask=mask[:, :-1], encoder_hidden_states=states, use_cache=False
    ).logits  # [B, L - 1, V]
    return nn.functional.cross_entropy(logits.flatten(0, 1), ids[:, 1:].flatten(), weight=word_weights)


def save(model: nn.Module, folder: Path) -> None:
    """Write model.safetensors as fp16, the decoder's output layer as well as the embedding it is tied to.

    transformers 4 and 5 disagree on which of the tied names they look for; with both stored they read the same model.
    config.json names fp32, to which both widen it.
    """
    state = {name: tensor.half().contiguous().clone() for name, tensor in model.state_dict().items()}
    state.pop("text_decoder.bert.embeddings.position_ids", None)
    for end in ("weight", "bias"):
        if f"text_decoder.cls.predictions.decoder.{end}" not in state:
            raise RuntimeError(f"the decoder's {end} is missing from the state")
    aside = folder / "model.safetensors.part"
    save_file(state, aside, metadata={"format": "pt"})
    aside.chmod(0o644)  # safetensors makes files that only their owner can read
    aside.replace(folder / "model.safetensors")


def _write_json(path: Path, content: dict[str, Any]) -> None:
    path.write_text(json.dumps(content, indent=2) + "\n", encoding="utf-8")
