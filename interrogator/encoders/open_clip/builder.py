"""An open_clip model and its tokenizer, built from files that are all on disk."""

from __future__ import annotations

import pickle
import warnings
from collections.abc import Callable
from typing import Any

from PIL import Image
from torch import Tensor

from ...errors import ModelLoadError
from .files import Sources

# What open_clip and torch raise for files that are cut short, something else, or of another model.
_UNREADABLE = (
    RuntimeError, OSError, ValueError, TypeError, LookupError, AttributeError, ArithmeticError, EOFError,
    StopIteration, AssertionError,
)  # fmt: skip


def build_model(sources: Sources) -> tuple[Any, Callable[[Image.Image], Tensor]]:
    """The model with its weights, on the CPU in float32, and its image transform.

    Raises ModelLoadError: the files are damaged or of another model.
    """
    import open_clip
    from safetensors import SafetensorError

    overrides: dict[str, Any] = {}
    if sources.quick_gelu is not None:
        overrides["quick_gelu"] = sources.quick_gelu
    if sources.text_config is not None:
        text_cfg = sources.model_cfg["text_cfg"]
        overrides["text_cfg"] = {**text_cfg, "hf_model_name": str(sources.text_config), "hf_model_pretrained": False}
    settings = {
        "image_mean": sources.preprocess.get("mean"),
        "image_std": sources.preprocess.get("std"),
        "image_interpolation": sources.preprocess.get("interpolation"),
        "image_resize_mode": sources.preprocess.get("resize_mode"),
    }
    pretrained = None if sources.model_name.startswith("local-dir:") else str(sources.checkpoint)
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", UserWarning)
            model, _, preprocess = open_clip.create_model_and_transforms(
                sources.model_name, pretrained=pretrained, pretrained_text=False, weights_only=True,
                **settings, **overrides,
            )  # fmt: skip
    except (SafetensorError, pickle.UnpicklingError, *_UNREADABLE) as error:
        reason = " ".join(str(error).split()) or type(error).__name__
        raise ModelLoadError(
            f"{sources.checkpoint} does not hold the weights of {sources.model_name}: {reason[:300]}"
        ) from error
    return model, preprocess


def build_tokenizer(sources: Sources) -> Any:
    """The tokenizer that goes with a model: open_clip's own, or one of Hugging Face.

    Raises ModelLoadError: the files do not make a tokenizer.
    """
    import open_clip
    from open_clip.tokenizer import HFTokenizer

    if sources.tokenizer is None:
        return open_clip.get_tokenizer(sources.model_name)
    text_cfg = sources.model_cfg["text_cfg"]
    try:
        return HFTokenizer(
            str(sources.tokenizer),
            context_length=text_cfg.get("context_length", open_clip.tokenizer.DEFAULT_CONTEXT_LENGTH),
            tokenizer_mode=text_cfg.get("tokenizer_mode"),
            **text_cfg.get("tokenizer_kwargs", {}),
        )
    except (OSError, ValueError, KeyError, ImportError) as error:
        raise ModelLoadError(f"{sources.tokenizer} does not hold a tokenizer: {error}") from error
