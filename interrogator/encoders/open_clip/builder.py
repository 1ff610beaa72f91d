"""Building an open_clip model and its tokenizer from files on disk."""

from __future__ import annotations

import pickle
import warnings
from collections.abc import Callable
from typing import Any

from PIL import Image
from torch import Tensor

from ...errors import ModelLoadError
from .files import LOCAL_DIR, Parts

# What open_clip and torch raise for files that are truncated, of another format, or of another model.
_UNREADABLE = (
    RuntimeError, OSError, ValueError, TypeError, LookupError, AttributeError, ArithmeticError, EOFError,
    StopIteration, AssertionError,
)  # fmt: skip


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
    pretrained = None if parts.model_name.startswith(LOCAL_DIR) else str(parts.checkpoint)
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", UserWarning)
            model, _, preprocess = open_clip.create_model_and_transforms(
                parts.model_name, pretrained=pretrained, pretrained_text=False, weights_only=True,
                **settings, **overrides,
            )  # fmt: skip
    except (SafetensorError, pickle.UnpicklingError, *_UNREADABLE) as error:
        reason = " ".join(str(error).split()) or type(error).__name__
        raise ModelLoadError(
            f"{parts.checkpoint} does not contain the weights of {parts.model_name}: {reason[:300]}"
        ) from error
    return model, preprocess


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
