"""How a tiny model is filled and written: as transformers 5 saves it, or as older repositories of the hub have it."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from math import prod
from pathlib import Path
from typing import Any, Literal

import torch

Layout = Literal["5", "4"]
"""The files of transformers 5, or those that repositories of transformers 4 have."""

_NONE: Mapping[str, float] = {}


@dataclass(frozen=True)
class OldFiles:
    """What a repository of transformers 4 has in place of the files of transformers 5.

    Attributes:
        processor: whether it has a `processor_config.json`; the image processor has its own file always.
        video: whether the video processor has a file of its own.
        template: the file with the chat template.
        flat: whether the text part's values stand beside `vision_config` instead of in `text_config`.
        config: whether `config.json` has the names of transformers 4, which some families never had.
        tokenizer_class: of `tokenizer_config.json`.
        without: entries of `config.json` that old revisions lack.
    """

    processor: bool = True
    video: bool = False
    template: Literal["chat_template.json", "tokenizer_config.json"] = "chat_template.json"
    flat: bool = False
    config: bool = True
    tokenizer_class: str = "PreTrainedTokenizerFast"
    without: tuple[str, ...] = ()


def fill(
    model: Any, seed: int, words: Sequence[int], end: int, scale: float = 0.25, louder: Mapping[str, float] = _NONE
) -> None:
    """Random weights with which images get captions of their own, made of `words`, that end now and then.

    The usual start is so small that every image gets the same caption. All tokens but `words` and `end` get small rows
    in the output layer, so small logits. Where embeddings are tied, a model repeats its last word unless `louder` makes
    them quieter. Writers take by default a seed with varied captions.

    Args:
        scale: standard deviation of the weights.
        louder: factors for parameters whose names contain the key, where a model would repeat one word or not see.
    """
    generator = torch.Generator().manual_seed(seed)
    with torch.no_grad():
        for name, parameter in model.named_parameters():
            if parameter.ndim > 1 or parameter.unique().numel() > 1:  # norms and most biases stay as they are
                factor = prod(value for part, value in louder.items() if part in name)
                parameter.normal_(0.0, scale * factor, generator=generator)
        head = model.get_output_embeddings()
        kept = torch.zeros(head.weight.shape[0], 1)
        kept[[*words, end]] = 1.0
        head.weight.mul_(torch.where(kept > 0, 1.0, 0.1))
    model.eval()


def write(
    folder: Path, model: Any, processor: Any, layout: Layout, old: OldFiles = OldFiles(), shards: bool = False
) -> Path:
    """Write a checkpoint; with `shards` in several files and their index."""
    folder.mkdir(parents=True, exist_ok=True)
    size = sum(parameter.nbytes for parameter in model.parameters())
    model.save_pretrained(folder, max_shard_size=size // 3 if shards else size * 2, safe_serialization=True)
    processor.save_pretrained(folder)
    if layout == "4":
        _split_processor(folder, processor, old)
        _move_template(folder, old)
        _age_tokenizer(folder, old)
        if old.config:
            _age_config(folder, old)
    return folder


def _split_processor(folder: Path, processor: Any, old: OldFiles) -> None:
    """The image processor in a file of its own, and the processor's own file only where the family had one."""
    path = folder / "processor_config.json"
    rest = _read(path) if path.exists() else {}
    parts = {
        "image_processor": "preprocessor_config.json",
        "video_processor": "video_preprocessor_config.json" if old.video else None,
    }
    for part, name in parts.items():
        values = rest.pop(part, None)
        if values is None or name is None:
            continue
        for entry in (f"{part}_type", "feature_extractor_type"):
            if entry in values:
                values[entry] = str(values[entry]).removesuffix("Fast").removesuffix("Pil")
        values["processor_class"] = type(processor).__name__
        _store(folder / name, values)
    if not old.video:
        (folder / "video_preprocessor_config.json").unlink(missing_ok=True)
    path.unlink(missing_ok=True)
    if old.processor:
        _store(path, {**rest, "processor_class": type(processor).__name__})


def _move_template(folder: Path, old: OldFiles) -> None:
    """The chat template in JSON: a file of its own, or an entry of the tokenizer's configuration."""
    path, beside = folder / "chat_template.jinja", folder / "chat_template.json"
    config = _read(folder / "tokenizer_config.json")
    template = config.pop("chat_template", None)
    if path.exists():
        template = path.read_text(encoding="utf-8")
        path.unlink()
    elif beside.exists():
        template = _read(beside)["chat_template"]
        beside.unlink()
    if template is None:
        return
    if old.template == "chat_template.json":
        _store(beside, {"chat_template": template})
    else:
        config["chat_template"] = template
    _store(folder / "tokenizer_config.json", config)


def _age_tokenizer(folder: Path, old: OldFiles) -> None:
    """The tokenizer's configuration as transformers 4 wrote it, with `special_tokens_map.json` beside it."""
    path = folder / "tokenizer_config.json"
    config = _read(path)
    for entry in ("backend", "is_local", "local_files_only"):
        config.pop(entry, None)
    config["tokenizer_class"] = old.tokenizer_class
    added = _read(folder / "tokenizer.json")["added_tokens"]
    config["added_tokens_decoder"] = {
        str(token["id"]): {name: value for name, value in token.items() if name != "id"} for token in added
    }
    _store(path, config)
    standard = ("bos_token", "eos_token", "unk_token", "sep_token", "pad_token", "cls_token", "mask_token")
    _store(folder / "special_tokens_map.json", {name: config[name] for name in standard if config.get(name)})


def _age_config(folder: Path, old: OldFiles) -> None:
    """The configuration in the names of transformers 4."""
    path = folder / "config.json"
    config = _read(path)
    for part in (config, *(value for value in config.values() if isinstance(value, dict))):
        if "dtype" in part:
            part["torch_dtype"] = part.pop("dtype")
        rope = part.pop("rope_parameters", None)
        if rope and "rope_theta" in rope:
            part["rope_theta"] = rope.pop("rope_theta")
            kind = rope.pop("rope_type", "default")
            if "mrope_section" in rope and old.flat:
                part["rope_scaling"] = {"type": "mrope", **rope}
            elif kind != "default" or rope:
                part["rope_scaling"] = {"rope_type": kind, **rope}
        elif rope:
            part["rope_parameters"] = rope  # one for each kind of layer: newer than transformers 4
    if old.flat:
        text = config.pop("text_config", {})
        config = {**{name: value for name, value in text.items() if name != "model_type"}, **config}
    for entry in old.without:
        config.pop(entry, None)
    config["transformers_version"] = "4.49.0"
    _store(path, config)


def _read(path: Path) -> dict[str, Any]:
    content: dict[str, Any] = json.loads(path.read_text(encoding="utf-8"))
    return content


def _store(path: Path, content: dict[str, Any]) -> None:
    path.write_text(json.dumps(content, indent=1), encoding="utf-8")
