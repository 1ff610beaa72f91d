"""The qualities of a caption: how many candidates are written, and who picks. One table, read by every front end."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from enum import Enum
from types import MappingProxyType
from typing import Literal

from .errors import RequestError


class Quality(str, Enum):
    """How a caption is come by."""

    GREEDY = "greedy"
    BEAM = "beam"
    BEST_OF_N = "best-of-n"
    CAPFILT = "capfilt"
    LAION_COCO = "laion-coco"
    TAGS = "tags"

    @classmethod
    def of(cls, name: str) -> Quality:
        """The quality of this name. Raises RequestError: there is none; lists those there are."""
        try:
            return cls(name)
        except ValueError as error:
            raise RequestError(f"unknown quality {name!r}; choose from {', '.join(QUALITY_NAMES)}") from error


QUALITY_NAMES: tuple[str, ...] = tuple(quality.value for quality in Quality)


@dataclass(frozen=True)
class QualityTraits:
    """What there is to know of a quality without writing a caption.

    Attributes:
        help: what it does, for a list of qualities.
        abilities: what it asks of the captioner.
        writer: the role whose answer is the caption.
        needs: roles it needs beside the writer.
        kept: captions of an image that it can give at most; None is as many as are sampled.
    """

    help: str
    abilities: frozenset[str] = field(default_factory=frozenset)
    needs: frozenset[str] = field(default_factory=frozenset)
    kept: int | None = 1
    writer: Literal["captioner", "tagger"] = "captioner"


# How many of its forty captions LAION-COCO keeps for the second encoder.
SHORT_LIST = 5
_SAMPLES = frozenset({"sampling"})
_ENCODER = frozenset({"encoder"})

QUALITIES: Mapping[Quality, QualityTraits] = MappingProxyType(
    {
        Quality.GREEDY: QualityTraits("one caption, the likeliest word each time"),
        Quality.BEAM: QualityTraits("one caption, three beams", frozenset({"beams"})),
        Quality.BEST_OF_N: QualityTraits(
            "sampled captions, of which CLIP picks the one most like the picture", _SAMPLES, _ENCODER, None
        ),
        Quality.CAPFILT: QualityTraits(
            "one sampled caption, marked for review where the matcher finds that it does not fit (CapFilt)",
            _SAMPLES, frozenset({"matcher"}),
        ),
        Quality.LAION_COCO: QualityTraits(
            "forty sampled captions, five picked by CLIP, one of them by a second CLIP model (LAION-COCO)",
            _SAMPLES, frozenset({"encoder", "reranker"}), SHORT_LIST,
        ),
        Quality.TAGS: QualityTraits("the tags of a tagger in place of a sentence", writer="tagger"),
    }
)  # fmt: skip
