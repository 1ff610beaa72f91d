"""Building a Florence-2 from local files of either layout: complete and of the right kind, or an error."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from ...checkpoints import damage, first_line, loading, read_json, some, unreadable
from ...errors import ModelError, ModelLoadError
from ..chat.checkpoint import load_chat
from ..chat.configuration import quantised, why_not
from .legacy import ADDED_TOKENS, BIAS, EMBEDDINGS, PROJECTION, is_legacy, legacy_name, native_config
from .weights import tensors

_HEAD, _SHARED = "lm_head.weight", "model.language_model.shared.weight"
_SEARCH = ("no_repeat_ngram_size", "forced_bos_token_id", "forced_eos_token_id", "decoder_start_token_id")
"""Of the text part, for `generate`."""


def load_florence2(folder: Path, device: torch.device, dtype: torch.dtype) -> tuple[Any, Any]:
    """The model (Florence2ForConditionalGeneration) and the Florence2Processor of a folder, on a device and in a dtype.

    Pictures are squashed by Pillow, as the model's first code did, whatever is installed beside it.

    Raises ModelLoadError: transformers is too old, or files are damaged, lack a tensor, hold one that has no place in
    the model, or one of another shape.
    """
    reason = why_not({"model_type": "florence2"})
    if reason:
        raise ModelLoadError(f"{folder} holds a Florence-2, {reason}")
    config = read_json(folder / "config.json")
    if is_legacy(config):
        if quantised(config):
            raise ModelLoadError(
                f"{folder} holds quantised weights in the files of Florence-2's first code, which is not supported: "
                "use the weights in 16 bit"
            )
        model, processor = _load_legacy(folder, config, dtype)
        model = model.to(device)
    else:
        model, processor = load_chat(folder, device, dtype)
    processor.image_processor = _by_pillow(processor.image_processor)
    return model.eval(), processor


def _load_legacy(folder: Path, config: Mapping[str, Any], dtype: torch.dtype) -> tuple[Any, Any]:
    from transformers import Florence2Config, Florence2ForConditionalGeneration

    named = native_config(config)
    try:
        with loading():
            native = Florence2Config(**named)
            with torch.device("meta"):
                shapes = Florence2ForConditionalGeneration(native).state_dict()
            state = _native_state(folder, shapes, dtype)
            model = Florence2ForConditionalGeneration.from_pretrained(
                None, config=native, state_dict=state, dtype=dtype
            )
            processor = _load_processor(folder, model.get_input_embeddings().weight.shape[0])
            model.config.image_token_id = processor.image_token_id
    except ModelError:
        raise
    except unreadable() as error:
        raise ModelLoadError(
            f"{folder} does not hold a readable Florence-2: {damage(folder) or first_line(error)}"
        ) from error
    for name in _SEARCH:
        setattr(model.generation_config, name, named["text_config"].get(name))
    return model, processor


def _native_state(folder: Path, shapes: Mapping[str, Tensor], dtype: torch.dtype) -> dict[str, Tensor]:
    """The tensors of a legacy folder by the names of transformers, in a dtype, each table of embeddings once.

    shapes: tensors of the right shape by the names of transformers.
    """
    known = {legacy_name(name): name for name in shapes}
    state: dict[str, Tensor] = {}
    strangers: set[str] = set()
    misshapen: set[str] = set()
    embedded = len(EMBEDDINGS)  # the place in `EMBEDDINGS` of the table that was taken
    for name, tensor in tensors(folder):
        native = known.get(name)
        if native is None:
            strangers |= {name} if name != BIAS or tensor.any() else set()
            continue
        tensor = tensor.T if native == PROJECTION else tensor
        if tensor.shape != shapes[native].shape:
            misshapen.add(name)
        elif name not in EMBEDDINGS:
            state[native] = _copied(tensor, dtype)
        elif EMBEDDINGS.index(name) < embedded:
            embedded = EMBEDDINGS.index(name)
            state[_SHARED] = state[_HEAD] = _copied(tensor, dtype)
    missing = set(known) - set(EMBEDDINGS) - {legacy_name(name) for name in state} - misshapen
    if embedded == len(EMBEDDINGS) and not misshapen & set(EMBEDDINGS):
        missing.add(EMBEDDINGS[0])
    _check(folder, missing, misshapen, strangers)
    return state


def _check(folder: Path, missing: set[str], misshapen: set[str], strangers: set[str]) -> None:
    """Raises ModelLoadError: there are names of tensors that have no value, no place, or another shape."""
    if missing:
        raise ModelLoadError(f"the weights in {folder} lack {len(missing)} of the model's tensors: {some(missing)}")
    if misshapen:
        raise ModelLoadError(f"the weights in {folder} do not have the shapes of its config.json: {some(misshapen)}")
    if strangers:
        raise ModelLoadError(f"the weights in {folder} hold tensors that no Florence-2 has: {some(strangers)}")


def _copied(tensor: Tensor, dtype: torch.dtype) -> Tensor:
    """A tensor of a mapped file in memory, so that the file is free to change."""
    return tensor.to(dtype, copy=True, memory_format=torch.contiguous_format)


def _load_processor(folder: Path, rows: int) -> Any:
    """The processor of a legacy folder.

    rows: of the embeddings: for BART's tokens, those that the first code adds, and what a fine-tune added.
    """
    from transformers import BartTokenizerFast, CLIPImageProcessor, Florence2Processor

    pixels = CLIPImageProcessor.from_dict(read_json(folder / "preprocessor_config.json"))
    tokenizer = BartTokenizerFast.from_pretrained(str(folder), local_files_only=True)
    lacking = [token for token in ADDED_TOKENS if token not in tokenizer.get_vocab()]
    if rows >= len(tokenizer) + len(lacking):
        tokenizer.add_tokens(lacking, special_tokens=True)
    if len(tokenizer) > rows:
        raise ModelLoadError(
            f"the tokenizer in {folder} has {len(tokenizer)} tokens, but its model {rows}: they do not belong together"
        )
    # transformers wants a token in the place of the image. A new one would be one more that the model could write, so
    # one is taken that no text has: the first code puts the image in front of the text without any.
    tokenizer.image_token = tokenizer.mask_token or tokenizer.unk_token
    tokenizer.image_token_id = tokenizer.convert_tokens_to_ids(tokenizer.image_token)
    return Florence2Processor(pixels, tokenizer)


def _by_pillow(pixels: Any) -> Any:
    """An image processor's settings in the class that computes with Pillow; in transformers 4 the one without Fast."""
    import transformers

    kind = getattr(transformers, "CLIPImageProcessorPil", None) or transformers.CLIPImageProcessor
    if isinstance(pixels, kind):
        return pixels
    settings = pixels.to_dict()
    settings.pop("image_processor_type", None)
    return kind.from_dict(settings)
