"""The processor of a folder: images and texts as tensors. In the files of transformers 4 as in those of 5."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from ...errors import ModelLoadError
from .families import family_of


def load_processor(folder: Path, config: Any) -> Any:
    """The processor of transformers, with what old files lack taken from the model's configuration.

    Raises ModelLoadError: it has no tokenizer or no chat template, or cannot say where the image goes. Whatever else
    is wrong with its files raises what transformers raises.
    """
    from transformers import AutoProcessor

    processor = AutoProcessor.from_pretrained(str(folder), local_files_only=True, trust_remote_code=False)
    tokenizer = getattr(processor, "tokenizer", None)
    if tokenizer is None or getattr(processor, "image_processor", None) is None:
        raise ModelLoadError(
            f"{folder} lacks the settings of a tokenizer or of an image processor: fetch tokenizer.json and "
            "preprocessor_config.json or processor_config.json"
        )
    _fill_in(processor, config, folder)
    if family_of(config).template and template_of(processor) is None:
        raise ModelLoadError(
            f"{folder} has no chat template: fetch chat_template.jinja or chat_template.json, or a "
            "tokenizer_config.json with one"
        )
    # A text decoder continues the last token, so padding goes in front; positions of an encoder count from its first.
    tokenizer.padding_side = "right" if reads_by_encoder(config) else "left"
    if tokenizer.pad_token_id is None:
        tokenizer.pad_token = tokenizer.eos_token or tokenizer.unk_token
    return processor


def template_of(processor: Any) -> str | None:
    """The chat template: in old files it stands with the tokenizer, where `apply_chat_template` does not look."""
    for owner in (processor, processor.tokenizer):
        template = getattr(owner, "chat_template", None)
        if isinstance(template, dict):  # several by name
            template = template.get("default")
        if template:
            return str(template)
    return None


def reads_by_encoder(config: Any) -> bool:
    """Whether the prompt goes through an encoder, as in T5 and BART."""
    text = getattr(config, "text_config", None)
    return bool(getattr(config, "is_encoder_decoder", False) or getattr(text, "is_encoder_decoder", False))


def _fill_in(processor: Any, config: Any, folder: Path) -> None:
    """What a processor without `processor_config.json`, or with an old one, does not know."""
    queries = getattr(config, "num_query_tokens", None)
    if queries is not None:
        if getattr(config, "image_token_index", None) is None:
            raise ModelLoadError(
                f"{folder / 'config.json'} lacks image_token_index, without which the image stays unread: fetch the "
                "current files of the model"
            )
        if getattr(processor, "num_query_tokens", 0) is None:
            processor.num_query_tokens = queries
    if getattr(processor, "patch_size", 0) is None:
        vision = config.vision_config
        processor.patch_size = vision.patch_size
        if getattr(processor, "num_additional_image_tokens", None) in (None, 0):
            processor.num_additional_image_tokens = int(vision.model_type == "clip_vision_model")
    if getattr(processor, "vision_feature_select_strategy", "") is None:
        processor.vision_feature_select_strategy = config.vision_feature_select_strategy
