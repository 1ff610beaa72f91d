"""A family as somebody adds one: this module, and a row. It captions, tags and embeds pictures of one color each.

A folder of it holds `colors.json`, a list of names of colors, and `model.safetensors`, a matrix [names, 3].
"""

from __future__ import annotations

import json
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import torch
from safetensors.torch import load_file, save_file
from torch import Tensor, nn
from torch.nn.functional import normalize

from interrogator.captioners import DEFAULT_OPTIONS, CaptionOptions
from interrogator.catalog import Family, KnownModel, Marker
from interrogator.embeddings import PROBE_PHRASES, EncoderIdentity
from interrogator.hub import FileSet
from interrogator.images import to_rgb
from interrogator.models import Ability, Located, Tag
from interrogator.progress import Progress

COLORS = {"crimson": (220, 20, 60), "teal": (0, 128, 128), "gold": (255, 215, 0)}
_CONTEXT = 60


class _ColorModel:
    """What the three have in common."""

    family = "colors"
    working_bytes = 1_000_000

    def __init__(self, located: Located, names: Sequence[str], weights: Tensor) -> None:
        self.name, self.origin, self.names = located.name, located, list(names)
        self.module = nn.Linear(3, len(names), bias=False)
        self.module.weight.data = weights  # [names, 3]
        self.module.requires_grad_(False)

    @classmethod
    def from_files(cls, located: Located, device: torch.device, dtype: torch.dtype) -> Any:
        assert located.folder is not None
        names = json.loads((located.folder / "colors.json").read_text(encoding="utf-8"))["names"]
        weights = load_file(located.folder / "model.safetensors")["weight"]
        return cls(located, names, weights.to(device=device, dtype=dtype))

    @property
    def device(self) -> torch.device:
        return self.module.weight.device

    @property
    def dtype(self) -> torch.dtype:
        return self.module.weight.dtype

    def prepare(self, image: Any) -> Tensor:
        """The mean color of an image, -1 to 1: float32 [3]."""
        return torch.from_numpy(np.asarray(to_rgb(image), dtype=np.float32).mean((0, 1)) / 127.5 - 1)

    def _scores(self, prepared: Sequence[Tensor], progress: Progress | None) -> Tensor:
        """How near each prepared image is to each color: float32 [B, names]."""
        if not prepared:
            return torch.empty(0, len(self.names))
        if progress is not None:
            progress(0, len(prepared))
        scores: Tensor = self.module(torch.stack(list(prepared)).to(self.device, self.dtype)).float()
        if progress is not None:
            progress(len(prepared), len(prepared))
        return scores


class ColorCaptioner(_ColorModel):
    abilities: frozenset[Ability] = frozenset()

    def caption(
        self, prepared: Sequence[Tensor], options: CaptionOptions = DEFAULT_OPTIONS, progress: Progress | None = None
    ) -> list[str]:
        return [f"a {self.names[index]} picture" for index in self._scores(prepared, progress).argmax(-1).tolist()]


class ColorTagger(_ColorModel):
    def tag(self, prepared: Sequence[Tensor], progress: Progress | None = None) -> list[list[Tag]]:
        rows = (8 * self._scores(prepared, progress)).softmax(-1).tolist()
        return [[Tag(name, value) for name, value in zip(self.names, row, strict=True)] for row in rows]


class ColorEncoder(_ColorModel):
    context_length = _CONTEXT

    def embed(self, prepared: Sequence[Tensor], progress: Progress | None = None) -> Tensor:
        return normalize(self._scores(prepared, progress), dim=-1)

    def encode_texts(
        self, texts: Sequence[str], progress: Progress | None = None, dtype: torch.dtype | None = None
    ) -> Tensor:
        """The direction of the first color that a text names; of all colors where it names none."""
        rows = torch.ones(len(texts), len(self.names), device=self.device)
        for row, text in zip(rows, texts, strict=True):
            named = [index for index, name in enumerate(self.names) if name in text]
            if named:
                row.fill_(-0.1)[named[0]] = 1.0
        return normalize(rows, dim=-1)

    def encode_continuations(
        self, prompt: str, phrases: Sequence[str], progress: Progress | None = None, dtype: torch.dtype | None = None
    ) -> Tensor:
        return self.encode_texts([f"{prompt}, {phrase}" if prompt else phrase for phrase in phrases], progress, dtype)

    def count(self, text: str) -> int:
        return len(text.split()) + 2

    def fits(self, text: str) -> bool:
        return self.count(text) <= _CONTEXT

    def identity(self) -> EncoderIdentity:
        return EncoderIdentity(self.name, "float32", "words", self.encode_texts(PROBE_PHRASES).cpu())


FAMILY = Family(
    "colors",
    {
        "captioner": f"{__name__}:ColorCaptioner",
        "tagger": f"{__name__}:ColorTagger",
        "encoder": f"{__name__}:ColorEncoder",
    },
    FileSet(required=("colors.json", "model.safetensors")),
    Marker("colors.json"),
)
"""The row of the family."""


def rows(folder: Path) -> tuple[KnownModel, ...]:
    """Rows of the catalog for a model of the family in a folder."""
    return tuple(
        KnownModel(f"colors-{role}", role, FAMILY.name, "a matrix", str(folder), 1, "MIT", f"{role} of colors")
        for role in FAMILY.loads
    )


def write(folder: Path) -> Path:
    """A model of the family."""
    folder.mkdir(parents=True, exist_ok=True)
    (folder / "colors.json").write_text(json.dumps({"names": list(COLORS)}), encoding="utf-8")
    colors = torch.tensor(list(COLORS.values()), dtype=torch.float32) / 127.5 - 1
    save_file({"weight": normalize(colors, dim=-1)}, folder / "model.safetensors")
    return folder
