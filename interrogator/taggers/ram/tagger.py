"""RamTagger: tags of photographs by RAM++, each with a threshold of its own."""

from __future__ import annotations

import torch

from ...models import Located
from ..pixels import BILINEAR, Input, Step
from ..tagger import FileTagger
from ..timm_network import TimmNetwork
from .checkpoint import load_network
from .files import RamFiles, read_vocabulary

# As ImageNet's (recognize-anything, ram/transform.py).
_INPUT = Input((Step("squash", BILINEAR),), mean=(0.485, 0.456, 0.406), std=(0.229, 0.224, 0.225))


class RamTagger(FileTagger):
    """Says which of some thousand English tags are true of a photograph; may be used by several threads."""

    @classmethod
    def from_files(cls, located: Located, device: torch.device, dtype: torch.dtype) -> RamTagger:
        """Build a located model.

        Raises ModelLoadError: its files are damaged, lack something, or do not belong together.
        """
        files: RamFiles = located.parts
        vocabulary = read_vocabulary(located)
        network, size = load_network(files.weights, len(vocabulary), dtype)
        return cls(TimmNetwork(network.to(device), _INPUT.sized(size, size)), vocabulary, located)
