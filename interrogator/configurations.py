"""Sizes in the configurations of a model, bounded before anything is built after them.

A damaged number does not fail by itself: a model of a million layers is built for hours, whatever its weights hold.
The bounds are several times what the largest published models have.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from .checkpoints import read_json
from .errors import ModelLoadError

_LARGEST_FILE = 5_000_000  # bytes; larger ones are vocabularies
_DEEPEST = 50  # tables in tables
# The end of a key, and the most that it may say.
_BOUNDS = (
    (re.compile(r"(layers?|depths?|blocks|heads|experts|n_layer|n_head|repeats?|beams)$"), 4096),
    (re.compile(r"(hidden_size|width|embed_dim|d_model|_dim|channels|num_filters|patch_size|image_size)$"), 131_072),
    (re.compile(r"(intermediate_size|ffn_dim|d_ff|num_classes)$"), 1_000_000),
    (re.compile(r"(vocab_size|num_labels)$"), 10_000_000),
)


def check_sizes(folder: Path) -> None:
    """Check the sizes in the JSON files of a folder. Raises ModelLoadError: one is beyond all models."""
    for path in sorted(folder.glob("*config*.json")):
        if path.is_file() and path.stat().st_size <= _LARGEST_FILE:
            for key, number in _numbers(read_json(path), "", 0):
                bound = next((bound for ending, bound in _BOUNDS if ending.search(key)), None)
                if bound is not None and not abs(number) <= bound:
                    raise ModelLoadError(
                        f"{path} is damaged: {key} is {number!r:.40}, and no model has more than {bound}: "
                        "fetch it again"
                    )


def _numbers(value: Any, key: str, depth: int) -> Iterator[tuple[str, int | float]]:
    """The numbers of a configuration with their keys; those of a list have the key of the list."""
    if depth > _DEEPEST:
        return
    if isinstance(value, dict):
        for name, each in value.items():
            yield from _numbers(each, str(name), depth + 1)
    elif isinstance(value, list):
        for each in value:
            yield from _numbers(each, key, depth + 1)
    elif isinstance(value, (int, float)) and not isinstance(value, bool):
        yield key, value
