"""FileTagger: a network with one output a tag, in a timm folder or an ONNX file, with its table of tags."""

from __future__ import annotations

from collections.abc import Sequence
from os import PathLike
from typing import Unpack

import torch
from PIL import Image
from torch import nn

from ..batches import in_batches
from ..catalog import row_in
from ..errors import ModelError
from ..models import Located, Tag
from ..progress import Progress
from ..registry import LoadOptions, load_as
from .files import TaggerFiles
from .layouts import LAYOUTS, Layout
from .onnx_network import OnnxNetwork
from .pixels import Pixels, input_from_timm
from .preprocess import read_preprocess
from .timm_network import TimmNetwork, pretrained_cfg, read_timm
from .vocabulary import Thresholds, Vocabulary

_WORKING_BYTES = 2_000_000_000  # 32 images of 448 pixels in a large ViT, half precision; 8 in float32
_ROUNDING = 1e-3  # of half precision, around 0 and 1


class FileTagger:
    """Says which tags of a vocabulary are true of an image; may be used by several threads.

    Attributes:
        name: catalog name, hub id, folder or file.
        family: which layout its files have.
        origin: where it was located.
        vocabulary: its tags, in the order of the network's output.
        network: what computes probabilities.
    """

    def __init__(self, network: TimmNetwork | OnnxNetwork, vocabulary: Vocabulary, origin: Located) -> None:
        """Put a network and its vocabulary together."""
        self.network = network
        self.vocabulary = vocabulary
        self.origin = origin
        self.name = origin.name
        self.family = origin.family

    @classmethod
    def load(cls, name: str | PathLike[str], **options: Unpack[LoadOptions]) -> FileTagger:
        """Load a tagger by hub id, folder or ONNX file; options and errors as of `registry.load_model`."""
        return load_as(cls, "tagger", name, **options)

    @classmethod
    def from_files(cls, located: Located, device: torch.device, dtype: torch.dtype) -> FileTagger:
        """Build a located model; an ONNX file computes in its own dtype.

        Raises ModelLoadError: its files are damaged, lack something, or do not belong together.
        """
        files: TaggerFiles = located.parts
        layout = LAYOUTS[located.family]
        vocabulary = Vocabulary(layout.read(files.table), _thresholds(located, layout))
        if files.config is None:
            pixels = read_preprocess(files.preprocess) if files.preprocess else None
            return cls(OnnxNetwork(files.weights, layout, pixels, vocabulary.width, device), vocabulary, located)
        return cls(_timm_network(files, layout, vocabulary, device, dtype), vocabulary, located)

    @property
    def module(self) -> nn.Module | None:
        """The timm model; None for an ONNX file, whose weights onnxruntime keeps."""
        return self.network.module

    @property
    def device(self) -> torch.device:
        """Where it computes."""
        return self.network.device

    @property
    def dtype(self) -> torch.dtype:
        """What it computes in."""
        return self.network.dtype

    @property
    def working_bytes(self) -> int:
        """A generous estimate of the memory of one call, without the weights."""
        return _WORKING_BYTES

    def prepare(self, image: Image.Image) -> Pixels:
        """An image as the model reads it: RGB, uint8 [H, W, 3] at its input size. Raises ImageReadError."""
        return self.network.pixels.prepare(image)

    def tag(self, prepared: Sequence[Pixels], progress: Progress | None = None) -> list[list[Tag]]:
        """Every tag of the vocabulary for each prepared image, in the order of the vocabulary.

        If memory runs out, it continues with half as many images at a time. progress(done, total) counts images; may
        raise to cancel. Raises ModelError: the network gives something else than probabilities.
        """
        count = len(prepared)
        compute, report = self.network.watched(progress)

        def work(start: int, stop: int) -> list[list[Tag]]:
            report(start, count)
            rows = compute(prepared[start:stop]).cpu()  # float32 [B, tags]
            if not bool(((rows >= -_ROUNDING) & (rows <= 1 + _ROUNDING)).all()):
                raise ModelError(f"{self.name} gives numbers that are no probabilities: its files do not fit together")
            return [self.vocabulary.tags(row) for row in rows.clamp(0.0, 1.0).numpy()]

        found: list[list[Tag]] = []
        for batch in in_batches(count, self.network.most, work, self.device):
            found += batch
        if found:
            report(count, count)
        return found


def _timm_network(
    files: TaggerFiles, layout: Layout, vocabulary: Vocabulary, device: torch.device, dtype: torch.dtype
) -> TimmNetwork:
    assert layout.timm is not None
    given = read_preprocess(files.preprocess) if files.preprocess else None
    model = read_timm(files.folder, files.weights, vocabulary.width, device, dtype)
    return TimmNetwork(model, given or input_from_timm(pretrained_cfg(model), layout.timm))


def _thresholds(located: Located, layout: Layout) -> Thresholds:
    """By category the thresholds that the catalog has for this model, else for its family."""
    files: TaggerFiles = located.parts
    row = row_in("tagger", located.name, files.folder, files.weights)
    return {**layout.thresholds, **(row.thresholds if row is not None else {})}
