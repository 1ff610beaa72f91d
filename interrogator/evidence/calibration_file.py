"""A calibration on disk: beside the embeddings of its encoder, or beside the weights of an encoder that comes with one.

A safetensors file of the references, with the numbers in its metadata.
"""

from __future__ import annotations

import json
import logging
import math
from pathlib import Path

import torch
from safetensors import SafetensorError, safe_open
from safetensors.torch import save

from ..files import write_whole
from .calibration import Calibration

logger = logging.getLogger("interrogator")

FILE_NAME = "calibration.safetensors"
_VERSION = 1
_NUMBERS = ("slope", "bias_weight", "intercept", "claim_rate", "most_claimed")


def save_calibration(folder: Path, calibration: Calibration) -> Path:
    """Write it to a folder, whole or not at all, and return the file. Raises OSError."""
    numbers = {name: getattr(calibration, name) for name in _NUMBERS}
    path = folder / FILE_NAME
    metadata = {"version": str(_VERSION), "numbers": json.dumps(numbers)}
    write_whole(path, save({"references": calibration.references.contiguous()}, metadata))
    return path


def load_calibration(folder: Path, width: int) -> Calibration | None:
    """The calibration in a folder; None if there is none, or, after a warning, if it cannot be used.

    width: D, the length of the encoder's embeddings.
    """
    path = folder / FILE_NAME
    if not path.is_file():
        return None
    try:
        with safe_open(path, framework="pt") as file:
            metadata = file.metadata() or {}
            references = file.get_tensor("references").clone()
        numbers = {name: float(json.loads(metadata["numbers"])[name]) for name in _NUMBERS}
        if metadata["version"] != str(_VERSION):
            raise ValueError(f"version {metadata['version']}, not {_VERSION}")
        if references.dtype != torch.float16 or references.ndim != 2 or references.shape[1] != width:
            raise ValueError(f"references are {references.dtype} {list(references.shape)}, not float16 [R, {width}]")
        if not bool(torch.isfinite(references).all()) or not all(map(math.isfinite, numbers.values())):
            raise ValueError("it is not finite")
    except (OSError, SafetensorError, KeyError, ValueError, TypeError, RuntimeError) as error:
        logger.warning("evidence: %s cannot be used (%s); calibrate again", path, error)
        return None
    return Calibration(references, **numbers)
