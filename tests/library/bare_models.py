"""Stand-ins for models of every role with exactly the members of their protocols, and answers that are known.

What works with these works with any model. They hold no weights; what they answer depends on pixels and texts alone.
"""

from __future__ import annotations

import hashlib
from collections.abc import Mapping, Sequence
from types import MappingProxyType
from typing import Any

import numpy as np
import torch
from PIL import Image
from torch import Tensor

from interrogator.captioners import (
    DEFAULT_OPTIONS,
    DEFAULT_SAMPLING,
    NAMED_PROMPTS,
    CaptionOptions,
    Sampled,
    SamplingOptions,
)
from interrogator.captioners.named_prompts import questions
from interrogator.embeddings import PROBE_PHRASES, EncoderIdentity
from interrogator.errors import RequestError
from interrogator.images import to_rgb
from interrogator.models import Ability, Answer, Located, Tag
from interrogator.progress import Progress

Color = tuple[int, int, int]
WIDTH = 32
CONTEXT = 40


def rows_of(texts: Sequence[str]) -> Tensor:
    """Unit rows [n, 32] float32 that depend on each text alone."""
    data = b"".join(hashlib.blake2b(text.encode(), digest_size=WIDTH).digest() for text in texts)
    rows = np.frombuffer(data, dtype=np.uint8).reshape(-1, WIDTH).astype(np.float64) - 127.5
    return torch.from_numpy((rows / np.linalg.norm(rows, axis=1, keepdims=True)).astype(np.float32))


def name_of(color: Color) -> str:
    """The strongest channel of a color, as a word."""
    return ("red", "green", "blue")[color.index(max(color))]


class BareModel:
    """The members of `Model`."""

    family = ""
    module = None
    device = torch.device("cpu")
    dtype = torch.float32
    working_bytes = 1_000_000

    def __init__(self) -> None:
        self.name = f"a bare {type(self).__name__}"
        self.origin = Located("captioner", self.name)

    def prepare(self, image: Image.Image) -> Color:
        """The color of the first pixel."""
        color: Any = to_rgb(image).getpixel((0, 0))
        return color


class BareCaptioner(BareModel):
    """The members of `Captioner`: says which color a picture is of, and can do nothing else."""

    abilities: frozenset[Ability] = frozenset()

    def caption(
        self, prepared: Sequence[Color], options: CaptionOptions = DEFAULT_OPTIONS, progress: Progress | None = None
    ) -> list[str]:
        _count(prepared, progress)
        return [f"a {name_of(color)} thing" for color in prepared]


class BareSampler(BareCaptioner):
    """The members of `Captioner` and `Samples`; it can do all that a captioner may be asked for."""

    abilities: frozenset[Ability] = frozenset({"beams", "sampling", "prefix", "forbidden words", "prompt"})

    def sample(
        self, prepared: Sequence[Color], keys: Sequence[str], options: SamplingOptions = DEFAULT_SAMPLING,
        progress: Progress | None = None,
    ) -> list[list[Sampled]]:  # fmt: skip
        _count(prepared, progress)
        return [
            [
                Sampled(f"{name_of(color)} thing {number}", (1, 2, number), -1.0 - number, True)
                for number in range(options.count)
            ]
            for color in prepared
        ]


class BareAnswerer(BareCaptioner):
    """The members of `Captioner` and `Answers`: repeats what it was asked. answers: by color what it says instead."""

    abilities: frozenset[Ability] = frozenset({"prompt", "system prompt"})
    prompts = NAMED_PROMPTS

    def __init__(self, answers: Mapping[str, Answer] = MappingProxyType({})) -> None:
        super().__init__()
        self._answers = answers

    def check(self, options: CaptionOptions) -> None:
        if "moon" in options.ask:
            raise RequestError("this asks for the moon")

    def answer(
        self, prepared: Sequence[Color], options: CaptionOptions = DEFAULT_OPTIONS, progress: Progress | None = None
    ) -> list[Answer]:
        _count(prepared, progress)
        asked = questions(options, len(prepared), self.prompts)
        found = []
        for color, text in zip(prepared, asked, strict=True):
            words = " ".join(each for each in (options.system, text) if each)
            said = f"a {name_of(color)} thing" + (f" ({words})" if words else "")
            found.append(self._answers.get(name_of(color), Answer(said)))
        return found

    def caption(
        self, prepared: Sequence[Color], options: CaptionOptions = DEFAULT_OPTIONS, progress: Progress | None = None
    ) -> list[str]:
        return [each.text for each in self.answer(prepared, options, progress)]


class BareTagger(BareModel):
    """The members of `Tagger`, with a vocabulary of three colors and a rating."""

    def tag(self, prepared: Sequence[Color], progress: Progress | None = None) -> list[list[Tag]]:
        _count(prepared, progress)
        colors = ("red", "green", "blue")
        return [
            [*(Tag(name, value / 255) for name, value in zip(colors, color, strict=True)), Tag("safe", 0.9, "rating")]
            for color in prepared
        ]


class BareBooruTagger(BareModel):
    """The members of `Tagger`, with a vocabulary such as that of WD, PixAI and cl_tagger; red makes tags probable."""

    def tag(self, prepared: Sequence[Color], progress: Progress | None = None) -> list[list[Tag]]:
        _count(prepared, progress)
        return [self._vocabulary(color[0] / 255) for color in prepared]

    def _vocabulary(self, red: float) -> list[Tag]:
        return [
            Tag("general", 1 - red, "rating"), Tag("sensitive", red, "rating"), Tag("best_quality", 0.1, "quality"),
            Tag("1girl", red), Tag("long_hair", 0.9 * red), Tag("o_o", 0.8 * red),
            Tag("smile", 0.7 * red, threshold=0.1), Tag("hat_(cap)", 0.6 * red), Tag("blue_hair", 0.3 * red),
            Tag("hatsune_miku", 0.95 * red, "character", implies=("vocaloid",)),
            Tag("kagamine_rin", 0.9 * red, "character", implies=("vocaloid",)),
            Tag("nintendo", 0.5 * red, "copyright"), Tag("highres", 0.9, "meta"),
        ]  # fmt: skip


class BareMatcher(BareModel):
    """The members of `Matcher`: a text belongs to a picture whose color it names."""

    def match(
        self, prepared: Sequence[Color], texts: Sequence[Sequence[str]], progress: Progress | None = None
    ) -> Tensor:
        _count(prepared, progress)
        rows = torch.full((len(prepared), max(map(len, texts), default=0)), float("nan"))  # [B, N]
        for row, color, some in zip(rows, prepared, texts, strict=True):
            row[: len(some)] = torch.tensor([0.9 if name_of(color) in text else 0.1 for text in some])
        return rows


class BareEncoder(BareModel):
    """The members of `Encoder`; a text and a picture have nothing to do with each other."""

    context_length = CONTEXT

    def embed(self, prepared: Sequence[Color], progress: Progress | None = None) -> Tensor:
        _count(prepared, progress)
        return rows_of([str(color) for color in prepared]) if prepared else torch.empty(0, WIDTH)

    def encode_texts(
        self, texts: Sequence[str], progress: Progress | None = None, dtype: torch.dtype | None = None
    ) -> Tensor:
        _count(texts, progress)
        return rows_of(texts) if texts else torch.empty(0, WIDTH)

    def encode_continuations(
        self, prompt: str, phrases: Sequence[str], progress: Progress | None = None, dtype: torch.dtype | None = None
    ) -> Tensor:
        return self.encode_texts([f"{prompt}, {phrase}" if prompt else phrase for phrase in phrases], progress, dtype)

    def count(self, text: str) -> int:
        return len(text.split()) + 2

    def fits(self, text: str) -> bool:
        return self.count(text) <= CONTEXT

    def identity(self) -> EncoderIdentity:
        return EncoderIdentity("bare", "float32", "t0", rows_of(PROBE_PHRASES))


def _count(items: Sequence[Any], progress: Progress | None) -> None:
    for done in range(len(items) + 1):
        if progress is not None:
            progress(done, len(items))
