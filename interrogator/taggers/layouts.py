"""How the files of taggers are laid out, as rows by family: which files there are and what goes into and comes out of
the model. Facts from the cards and the authors' code of the models that the catalog names."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from types import MappingProxyType

from .pixels import LANCZOS, Input, Step
from .vocabulary import (
    Thresholds,
    Word,
    read_camie_metadata,
    read_lines,
    read_selected_tags,
    read_tag_mapping,
)


@dataclass(frozen=True)
class Output:
    """An output of an ONNX file. name: "" stands for the only one there is.  logits: whether a sigmoid is missing."""

    name: str
    logits: bool


@dataclass(frozen=True)
class Layout:
    """The files of one family of taggers.

    Attributes:
        tables: names that the file with the vocabulary may have.
        beside: names it may have beside `NAME.onnx`, with `{}` for NAME.
        weights: names that an ONNX file may have.
        read: reads the vocabulary.
        onnx: how pictures go into an ONNX file, where no `preprocess.json` says so.
        channels_first: whether that is [B, 3, H, W] or [B, H, W, 3].
        timm: how pictures go into a timm folder, where no `preprocess.json` says so; None for a family without those.
        outputs: of an ONNX file, the one to take first.
        size: of pictures, for files that take any.
        thresholds: the family's own, for models whose files and row say nothing.
    """

    tables: tuple[str, ...]
    beside: tuple[str, ...]
    weights: tuple[str, ...]
    read: Callable[[Path], list[Word | None]]
    onnx: Input
    channels_first: bool
    outputs: tuple[Output, ...]
    timm: Input | None = None
    size: int = 448
    thresholds: Thresholds = field(default_factory=dict)


_HALF = (0.5, 0.5, 0.5)
_IMAGENET_MEAN, _IMAGENET_STD = (0.485, 0.456, 0.406), (0.229, 0.224, 0.225)
_CLIP_MEAN, _CLIP_STD = (0.48145466, 0.4578275, 0.40821073), (0.26862954, 0.26130258, 0.27577711)
_CAMIE_MARGIN = (124, 116, 104)  # the mean of ImageNet
_SQUARE = (Step("pad"),)  # margins of white, bicubic

LAYOUTS: Mapping[str, Layout] = MappingProxyType(
    {
        # SmilingWolf's, 448 px. Blue comes first: the models were trained on pictures that OpenCV had read.
        "wd-tagger": Layout(
            tables=("selected_tags.csv",),
            beside=("{}.csv", "{}_selected_tags.csv", "{}-selected_tags.csv", "selected_tags.csv"),
            weights=("model.onnx",),
            read=read_selected_tags,
            onnx=Input(_SQUARE, bgr=True, unit=False),
            channels_first=False,
            # The first three are those of repositories with a preprocess.json.
            outputs=(Output("prediction", False), Output("output", False), Output("logits", True), Output("", False)),
            timm=Input(_SQUARE, bgr=True, mean=_HALF, std=_HALF),
        ),
        # cella110n/cl_tagger 1.02; its thresholds are those of its demo.
        "cl-tagger": Layout(
            tables=("tag_mapping.json",),
            beside=("{}_tag_mapping.json", "{}-tag_mapping.json", "tag_mapping.json"),
            weights=("model.onnx", "model_optimized.onnx"),
            read=read_tag_mapping,
            onnx=Input(_SQUARE, bgr=True, mean=_HALF, std=_HALF),
            channels_first=True,
            outputs=(Output("", True),),
            thresholds={
                "general": 0.55, "meta": 0.55, "model": 0.55, "character": 0.6, "copyright": 0.6, "artist": 0.6,
            },
        ),
        # Camais03/camie-tagger-v2: of its three outputs the second one, refined. Threshold: best macro F1.
        "camie-tagger": Layout(
            tables=("camie-tagger-v2-metadata.json", "metadata.json"),
            beside=("{}-metadata.json", "{}_metadata.json", "metadata.json"),
            weights=("camie-tagger-v2.onnx", "model.onnx"),
            read=read_camie_metadata,
            onnx=Input(
                (Step("keep", LANCZOS, _CAMIE_MARGIN, floor=True),), mean=_IMAGENET_MEAN, std=_IMAGENET_STD
            ),
            channels_first=True,
            outputs=(Output("refined_predictions", True), Output("", True)),
            size=512,
            thresholds=dict.fromkeys(("general", "character", "copyright", "artist", "meta", "year"), 0.492),
        ),
        "joytag": Layout(
            tables=("top_tags.txt",),
            beside=("{}.txt", "top_tags.txt"),
            weights=("model.onnx",),
            read=read_lines,
            onnx=Input(_SQUARE, mean=_CLIP_MEAN, std=_CLIP_STD),
            channels_first=True,
            outputs=(Output("", True),),
            thresholds={"general": 0.4},
        ),
    }
)  # fmt: skip
