"""`preprocess.json`: how a tagger wants its pictures, in the steps of its repository (deepghs, animetimm).

The file holds a list of steps, by itself or under `stages` or `test`, each a `type` with its arguments.
"""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from PIL import ImageColor

from ..errors import ModelLoadError
from .pixels import RESAMPLING, Color, Input, Step, Triple
from .text_files import read_json

PREPROCESS_FILE = "preprocess.json"

# By the numbers of Pillow's filters, which some files have in place of names.
_BY_NUMBER = {int(resample): name for name, resample in RESAMPLING.items()}
_HARMLESS = {"to_tensor", "maybe_to_tensor", "convert_rgb", "convert_image", "force_background"}


def read_preprocess(path: Path) -> Input:
    """How pictures go into the model beside this file, in RGB.

    Raises ModelLoadError: it cannot be read, or has a step that is not known; no step is ever passed over.
    """
    content = read_json(path)
    steps = content
    if isinstance(content, dict):
        steps = next((content[name] for name in ("stages", "test", "val") if name in content), None)
    if not isinstance(steps, list) or not all(isinstance(step, dict) for step in steps):
        raise ModelLoadError(f"{path} lists no steps under 'stages' or 'test': download it again")
    changes: list[Step] = []
    unit = False
    mean, std = (0.0, 0.0, 0.0), (1.0, 1.0, 1.0)
    for step in steps:
        kind = str(step.get("type"))
        try:
            if kind == "normalize":
                mean, std = _triple(step["mean"]), _triple(step["std"])
            elif kind not in _HARMLESS:
                changes.append(_change(kind, step))
        except (KeyError, TypeError, ValueError) as error:
            raise ModelLoadError(f"{path} has a step {kind!r} that cannot be followed: {_reason(error)}") from error
        unit = unit or kind in ("to_tensor", "maybe_to_tensor")
    if not changes:
        raise ModelLoadError(f"{path} says nothing about the size of pictures: download it again")
    return Input(tuple(changes), unit=unit, mean=mean, std=std)


def _change(kind: str, step: Mapping[str, Any]) -> Step:
    """A step that changes the picture's size. Raises ValueError, KeyError, TypeError."""
    if kind == "resize":
        if step.get("max_size") is not None:
            raise ValueError("max_size is not supported")
        size = step["size"]
        one = isinstance(size, int) or len(size) == 1
        return Step("short" if one else "squash", _filter(step), size=_size(size))
    if kind == "center_crop":
        return Step("crop", size=_size(step["size"]))
    if kind == "pad_to_size":
        width, height = _pair(step["size"])
        return Step("keep", _filter(step), _color(step.get("background_color", "white")), (width, height))
    raise ValueError("this version knows resize, center_crop, pad_to_size, to_tensor and normalize")


def _size(size: Any) -> tuple[int, int]:
    """Width and height of a size as torchvision writes it: one number, or height and width."""
    height, width = _pair(size)
    return width, height


def _pair(size: Any) -> tuple[int, int]:
    if isinstance(size, int):
        size = [size]
    numbers = [int(each) for each in size]
    if len(numbers) not in (1, 2) or min(numbers) < 1:
        raise ValueError(f"{size} is no size")
    return numbers[0], numbers[-1]


def _filter(step: Mapping[str, Any]) -> Any:
    name = step.get("interpolation", "bilinear")
    name = _BY_NUMBER.get(name, "") if isinstance(name, int) else str(name).lower()
    if name not in RESAMPLING:
        raise ValueError(f"unknown filter {step.get('interpolation')!r}")
    return RESAMPLING[name]


def _color(value: Any) -> Color:
    if isinstance(value, str):
        red, green, blue = ImageColor.getrgb(value)[:3]
        return red, green, blue
    if isinstance(value, int):
        return value, value, value
    red, green, blue = (int(part) for part in value[:3])
    return red, green, blue


def _triple(values: Any) -> Triple:
    if isinstance(values, (int, float)):
        values = [values] * 3
    first, second, third = map(float, values)
    return first, second, third


def _reason(error: Exception) -> str:
    return f"it lacks {error}" if isinstance(error, KeyError) else str(error)
