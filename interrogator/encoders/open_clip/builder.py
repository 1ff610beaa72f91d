"""Building an open_clip model and its tokenizer from files on disk."""

from __future__ import annotations

import warnings
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import torch
from PIL import Image
from torch import Tensor

from ...errors import ModelLoadError
from ...files import instead_of_content
from ...pickled_weights import read_weights
from .files import LOCAL_DIR, Parts

# What open_clip and torch raise for files that are truncated, of another format, or of another model.
_UNREADABLE = (
    RuntimeError, OSError, ValueError, TypeError, LookupError, AttributeError, ArithmeticError, EOFError,
    StopIteration, AssertionError,
)  # fmt: skip

_READ_BY_OPEN_CLIP = (".safetensors", ".npz", ".npy")
# Numbers that OpenAI's archives keep beside the weights.
_POSITIONS = ("positional_embedding", "text.positional_embedding", "visual.positional_embedding")
_OF_TORCHSCRIPT = ("input_resolution", "context_length", "vocab_size")


def build_model(parts: Parts) -> tuple[Any, Callable[[Image.Image], Tensor]]:
    """The model with its weights, on the CPU in float32, and its image transform.

    Raises ModelLoadError: the files are damaged or belong to another model.
    """
    import open_clip
    from safetensors import SafetensorError

    overrides: dict[str, Any] = {}
    if parts.quick_gelu is not None:
        overrides["quick_gelu"] = parts.quick_gelu
    if parts.text_config is not None:
        text_cfg = parts.model_cfg["text_cfg"]
        overrides["text_cfg"] = {**text_cfg, "hf_model_name": str(parts.text_config), "hf_model_pretrained": False}
    settings = {
        "image_mean": parts.preprocess.get("mean"),
        "image_std": parts.preprocess.get("std"),
        "image_interpolation": parts.preprocess.get("interpolation"),
        "image_resize_mode": parts.preprocess.get("resize_mode"),
    }
    is_pickled = parts.checkpoint.suffix not in _READ_BY_OPEN_CLIP
    state = read_weights(parts.checkpoint) if is_pickled else None
    pretrained = None if parts.model_name.startswith(LOCAL_DIR) or is_pickled else str(parts.checkpoint)
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", UserWarning)
            model, _, preprocess = open_clip.create_model_and_transforms(
                parts.model_name, pretrained=pretrained, pretrained_text=False, weights_only=True,
                load_weights=not is_pickled, **settings, **overrides,
            )  # fmt: skip
            if state is None:
                shapes = _shapes(parts.checkpoint)
            else:
                shapes = {name: tuple(state[name].shape) for name in _POSITIONS if name in state}
                _fill(model, state)
    except (SafetensorError, *_UNREADABLE) as error:
        reason = instead_of_content(parts.checkpoint) or " ".join(str(error).split()) or type(error).__name__
        raise ModelLoadError(
            f"{parts.checkpoint} does not contain the weights of {parts.model_name}: {reason[:300]}"
        ) from error
    _check_positions(parts.checkpoint, model, shapes)
    return model, preprocess


def _shapes(checkpoint: Path) -> dict[str, tuple[int, ...]]:
    """The shapes of the position tables in a file of safetensors; none for another file."""
    from safetensors import safe_open

    if checkpoint.suffix != ".safetensors":
        return {}
    with safe_open(checkpoint, framework="pt") as file:
        names = set(file.keys()) & set(_POSITIONS)
        return {name: tuple(file.get_slice(name).get_shape()) for name in names}


def _check_positions(checkpoint: Path, model: Any, shapes: Mapping[str, tuple[int, ...]]) -> None:
    """Refuse position tables of another length, which open_clip would stretch to fit without a word.

    Raises ModelLoadError.
    """
    own = model.state_dict()
    for name, shape in shapes.items():
        if name in own and tuple(own[name].shape) != shape:
            raise ModelLoadError(
                f"{checkpoint}: {name} is {list(shape)}, but the model's configuration says {list(own[name].shape)}: "
                "they do not belong together, or the file is damaged; fetch it again"
            )


def _fill(model: Any, state: dict[str, Tensor]) -> None:
    """Copy weights into a model as `open_clip.factory.load_checkpoint` does, which only takes the name of a file.

    Raises what open_clip and torch raise: they do not fit.
    """
    from open_clip.convert import convert_state_dict
    from open_clip.model import convert_to_custom_text_state_dict, resize_pos_embed, resize_text_pos_embed

    for name in _OF_TORCHSCRIPT:
        state.pop(name, None)
    state = convert_state_dict(model, state)
    if "positional_embedding" in state and not hasattr(model, "positional_embedding"):
        state = convert_to_custom_text_state_dict(state)
    for name in ("logit_scale", "logit_bias"):  # a number, or a row with one
        own = getattr(model, name, None)
        if own is not None and name in state:
            state[name] = state[name].reshape(own.shape)
    if getattr(model, "logit_bias", None) is not None:
        state.setdefault("logit_bias", torch.zeros_like(state["logit_scale"]))
    for name in [name for name in state if name.endswith("embeddings.position_ids")]:  # 0, 1, 2, … of older files
        if name not in model.state_dict():
            del state[name]
    resize_pos_embed(state, model)
    resize_text_pos_embed(state, model)
    model.load_state_dict(state)


def build_tokenizer(parts: Parts) -> Any:
    """The tokenizer of a model: open_clip's own, or one from Hugging Face.

    Raises ModelLoadError: the files are not a valid tokenizer.
    """
    import open_clip
    from open_clip.tokenizer import HFTokenizer

    if parts.tokenizer is None:
        return open_clip.get_tokenizer(parts.model_name)
    text_cfg = parts.model_cfg["text_cfg"]
    try:
        return HFTokenizer(
            str(parts.tokenizer),
            context_length=text_cfg.get("context_length", open_clip.tokenizer.DEFAULT_CONTEXT_LENGTH),
            tokenizer_mode=text_cfg.get("tokenizer_mode"),
            **text_cfg.get("tokenizer_kwargs", {}),
        )
    except (OSError, ValueError, KeyError, ImportError) as error:
        raise ModelLoadError(f"{parts.tokenizer} does not contain a tokenizer: {error}") from error
