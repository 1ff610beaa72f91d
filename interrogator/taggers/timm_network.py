"""A tagger's network in a timm folder: `config.json` and `model.safetensors`, as timm publishes models."""

from __future__ import annotations

import sys
from collections.abc import Callable, Sequence
from contextlib import suppress
from functools import partial
from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn
from torch.overrides import TorchFunctionMode

from ..checkpoints import stored_tensor
from ..errors import ModelLoadError
from ..progress import Progress, watched
from .pixels import Input, Pixels
from .text_files import read_json

_ON_CPU, _ON_ACCELERATOR = 8, 32  # images at once


class TimmNetwork:
    """A timm model that gives one logit a tag.

    Attributes:
        module: the model.
        most: images to give it at once.
    """

    def __init__(self, module: nn.Module, pixels: Input) -> None:
        self.module = module.eval().requires_grad_(False)
        self.pixels = pixels

    @property
    def device(self) -> torch.device:
        return next(self.module.parameters()).device

    @property
    def dtype(self) -> torch.dtype:
        return next(self.module.parameters()).dtype

    @property
    def most(self) -> int:
        return _ON_CPU if self.device.type == "cpu" else _ON_ACCELERATOR

    def watched(self, progress: Progress | None) -> tuple[Callable[[Sequence[Pixels]], Tensor], Progress]:
        """What computes probabilities, float32 [B, tags], of prepared images, and the callable to report through."""
        module, report = watched(self.module, progress)

        def compute(prepared: Sequence[Pixels]) -> Tensor:
            pixels = self.pixels.tensor(prepared, self.device)  # [B, 3, H, W]
            with torch.inference_mode():
                logits: Tensor = module(pixels.to(self.dtype))
                return logits.float().sigmoid()

        return compute, report


def read_timm(folder: Path, weights: Path, width: int, device: torch.device, dtype: torch.dtype) -> nn.Module:
    """The model that `config.json` describes, with the weights of a file.

    width: how many tags there are.

    Raises ModelLoadError: it is damaged, of an architecture that this timm does not know, lacks a tensor, or is for
    another number of tags.
    """
    config = read_json(folder / "config.json")
    found = config.get("num_classes", config.get("pretrained_cfg", {}).get("num_classes"))
    if found != width:
        raise ModelLoadError(
            f"the model in {folder} gives {found} numbers, and its table has {width} tags: they are of different models"
        )
    model = _build(folder).to(dtype=dtype)
    _fill(model, weights)
    channels_last: Any = {"memory_format": torch.channels_last}  # as the pixels are; up to a fifth quicker
    return model.to(device=device, **channels_last)


def pretrained_cfg(model: nn.Module) -> dict[str, Any]:
    """What `config.json` says about pictures: input_size, interpolation, mean, std."""
    config: dict[str, Any] = dict(getattr(model, "pretrained_cfg", {}))
    return config


class _Undrawn(TorchFunctionMode):
    """While the block runs, this thread draws no random parameters: every one is about to come from a file.

    Drawing 300 million of them takes twenty seconds.
    """

    def __torch_function__(self, func: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        kwargs = kwargs or {}
        target = args[0] if args else kwargs.get("tensor")
        # In-place functions, torch's initialisers among them, end in one underscore and return what they change.
        name: str = getattr(func, "__name__", "")
        if isinstance(target, nn.Parameter) and name.endswith("_") and not name.endswith("__"):
            return target
        return func(*args, **kwargs)


def _build(folder: Path) -> nn.Module:
    import timm

    try:
        with _Undrawn():
            model: nn.Module = timm.create_model(f"local-dir:{folder}", pretrained=False)
    except (RuntimeError, ValueError, TypeError, LookupError, AttributeError, AssertionError, OSError) as error:
        version = f"timm {timm.__version__}"
        reason = " ".join(str(error).split())
        raise ModelLoadError(f"{version} cannot build what {folder / 'config.json'} describes: {reason}") from error
    return model


def _fill(model: nn.Module, path: Path) -> None:
    """Copy the tensors of a file into a model, one at a time: the weights are never in memory twice."""
    from safetensors import SafetensorError, safe_open

    try:
        with safe_open(path, framework="pt") as file:
            names = set(file.keys())
            if set(_wanted(model)) <= names:
                _copy(model, path, {name: partial(stored_tensor, path, name) for name in _wanted(model)})
                return
            stored = {name: file.get_tensor(name) for name in names}
    except (SafetensorError, OSError) as error:
        raise ModelLoadError(f"{path} is damaged ({error}): download it again") from error
    # Files of older versions of timm: the module that defines the model knows how to bring them up to date.
    convert = getattr(sys.modules[type(model).__module__], "checkpoint_filter_fn", None)
    if convert is not None:
        with suppress(KeyError, RuntimeError, TypeError, ValueError, AttributeError):  # what is missing is named below
            stored = convert(stored, model)
    missing = sorted(set(_wanted(model)) - set(stored))
    if missing:
        some = ", ".join(missing[:3]) + (" …" if len(missing) > 3 else "")
        raise ModelLoadError(f"the weights in {path} lack {len(missing)} of the model's tensors: {some}")
    _copy(model, path, {name: _given(stored[name]) for name in _wanted(model)})


def _wanted(model: nn.Module) -> dict[str, Tensor]:
    return model.state_dict(keep_vars=True)


def _given(tensor: Tensor) -> Callable[[], Tensor]:
    return lambda: tensor


def _copy(model: nn.Module, path: Path, sources: dict[str, Callable[[], Tensor]]) -> None:
    with torch.no_grad():
        for name, target in _wanted(model).items():
            tensor = sources[name]()
            if tensor.shape != target.shape:
                raise ModelLoadError(
                    f"{path} does not have the shapes of its config.json: {name} is {list(tensor.shape)}, "
                    f"not {list(target.shape)}"
                )
            target.copy_(tensor)
