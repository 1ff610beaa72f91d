"""The vocabulary of a tagger: what each number of its output means. One reader for each kind of file."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from math import isfinite
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from ..errors import ModelLoadError
from ..models import Tag
from .text_files import read_json, read_rows, read_text

CATEGORIES: Mapping[int, str] = {
    0: "general", 1: "artist", 3: "copyright", 4: "character", 5: "meta", 9: "rating",
}  # fmt: skip
"""Danbooru's numbers of categories, and 9, with which SmilingWolf's tables begin."""

Thresholds = Mapping[str, float]
"""By category the probability from which its tags hold."""


@dataclass(frozen=True)
class Word:
    """One tag of a vocabulary; see `models.Tag`."""

    text: str
    category: str = "general"
    threshold: float | None = None
    implies: tuple[str, ...] = ()


class Vocabulary:
    """The tags of a model, in the order of its output."""

    def __init__(self, words: Sequence[Word | None], thresholds: Thresholds | None = None) -> None:
        """Put tags together.

        Args:
            words: one for each number of the output; None for numbers that mean nothing.
            thresholds: for tags without one of their own, by category.
        """
        self.width = len(words)
        known = thresholds or {}
        self._positions = np.array([index for index, word in enumerate(words) if word is not None], dtype=np.intp)
        # Dictionaries of tags: copying one is three times as fast as calling Tag, of which an image takes thousands.
        self._tags: list[dict[str, Any]] = [
            {
                "text": word.text, "probability": 0.0, "category": word.category,
                "threshold": known.get(word.category) if word.threshold is None else word.threshold,
                "implies": word.implies,
            }
            for word in words if word is not None
        ]  # fmt: skip

    def __len__(self) -> int:
        return len(self._tags)

    def tags(self, probabilities: npt.NDArray[np.float32]) -> list[Tag]:
        """Every tag with its probability; probabilities: [width], of one image."""
        values = probabilities if self.width == len(self._tags) else probabilities[self._positions]
        new = object.__new__
        tags = []
        for content, probability in zip(self._tags, values.tolist(), strict=True):
            tag = new(Tag)
            attributes = tag.__dict__
            attributes.update(content)
            attributes["probability"] = probability
            tags.append(tag)
        return tags


def read_selected_tags(path: Path) -> list[Word | None]:
    """SmilingWolf's `selected_tags.csv`, with the columns that others added: `best_threshold` and `ips`.

    `ips` lists, in JSON, the series that a character is from. `categories.json` beside it names the categories,
    `thresholds.csv` gives each a threshold; both may be missing.
    """
    names = {**CATEGORIES, **_category_names(path.with_name("categories.json"))}
    thresholds = _category_thresholds(path.with_name("thresholds.csv"))
    words: list[Word | None] = []
    for number, row in enumerate(read_rows(path, "name", "category"), 1):
        try:
            category = int(row["category"])
            own = _number(row.get("best_threshold"))
            implies = tuple(map(str, json.loads(row.get("ips") or "[]")))
        except (ValueError, TypeError) as error:
            raise ModelLoadError(f"{path}: row {number} cannot be read ({error}): download it again") from error
        own = thresholds.get(category) if own is None else own
        words.append(Word(row["name"], names.get(category, f"category {category}"), own, implies))
    return words


def _category_names(path: Path) -> dict[int, str]:
    if not path.is_file():
        return {}
    try:
        return {int(entry["category"]): str(entry["name"]).lower() for entry in read_json(path)}
    except (KeyError, TypeError, ValueError) as error:
        raise ModelLoadError(f"{path} is no list of categories ({error}): download it again") from error


def _category_thresholds(path: Path) -> dict[int, float]:
    """By number of a category its threshold, the first where there are several."""
    found: dict[int, float] = {}
    if not path.is_file():
        return found
    for row in read_rows(path, "category", "threshold"):
        try:
            threshold = _number(row["threshold"])
            if threshold is not None:
                found.setdefault(int(row["category"]), threshold)
        except ValueError as error:
            raise ModelLoadError(f"{path} cannot be read ({error}): download it again") from error
    return found


def _number(text: str | None) -> float | None:
    """A number of a table; None for an empty field and for `nan`."""
    value = float(text) if text and text.strip() else float("nan")
    return value if isfinite(value) else None


def read_tag_mapping(path: Path) -> list[Word | None]:
    """cl_tagger's `tag_mapping.json`, in both its forms: `{"0": {"tag": …, "category": …}}`, and two tables."""
    content = read_json(path)
    if isinstance(content, dict) and "idx_to_tag" in content:
        return _from_two_tables(path, content)
    try:
        pairs = {
            int(index): Word(str(entry["tag"]), str(entry["category"]).lower()) for index, entry in content.items()
        }
    except (AttributeError, KeyError, TypeError, ValueError) as error:
        raise ModelLoadError(f"{path} is no table of tags: download it again") from error
    return _in_order(path, pairs)


def read_camie_metadata(path: Path) -> list[Word | None]:
    """Camie's metadata: two tables under `dataset_info`, `tag_mapping`."""
    content = read_json(path)
    try:
        tables = content["dataset_info"]["tag_mapping"]
    except (KeyError, TypeError) as error:
        raise ModelLoadError(f"{path} holds no table of tags under dataset_info, tag_mapping") from error
    return _from_two_tables(path, tables)


def read_lines(path: Path) -> list[Word | None]:
    """JoyTag's `top_tags.txt`: one tag a line; it has no categories."""
    return [Word(line.strip()) for line in read_text(path).split("\n") if line.strip()]


def _from_two_tables(path: Path, tables: Mapping[str, Any]) -> list[Word | None]:
    """Tags of `idx_to_tag` with the categories of `tag_to_category`."""
    try:
        categories = tables["tag_to_category"]
        pairs = {
            int(index): Word(str(tag), str(categories[tag]).lower()) for index, tag in tables["idx_to_tag"].items()
        }
    except (AttributeError, KeyError, TypeError, ValueError) as error:
        raise ModelLoadError(f"{path} is no table of tags ({error}): download it again") from error
    return _in_order(path, pairs)


def _in_order(path: Path, pairs: Mapping[int, Word]) -> list[Word | None]:
    if not pairs or min(pairs) < 0 or max(pairs) > 10 * len(pairs):
        raise ModelLoadError(f"{path} does not number its tags from 0 on: download it again")
    return [pairs.get(index) for index in range(max(pairs) + 1)]
