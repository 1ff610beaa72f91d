"""The ComfyUI nodes: thin, over the library beside them.

`host` alone asks ComfyUI for folders, devices, memory, progress and cancelling; the other modules say what a node
takes and gives (`comfy_api.latest.io`) and call the library. Models load in the first run, never at import.
"""

from __future__ import annotations

from comfy_api.latest import ComfyExtension, io

from . import downloads, node_replacements
from .advanced import InterrogatorAdvanced
from .assemble import InterrogatorAssemble
from .caption import InterrogatorCaption
from .check import InterrogatorCheck
from .dataset import InterrogatorDataset
from .endpoint import InterrogatorEndpoint
from .image import InterrogatorImage
from .loaders import (
    InterrogatorLoadBanks,
    InterrogatorLoadCaptioner,
    InterrogatorLoadEncoder,
    InterrogatorLoadTagger,
)
from .negative import InterrogatorNegative
from .rank import InterrogatorRank
from .similarity import InterrogatorSimilarity
from .tag import InterrogatorTag
from .texts import InterrogatorTexts

NODES: list[type[io.ComfyNode]] = [
    InterrogatorImage,
    InterrogatorLoadCaptioner,
    InterrogatorEndpoint,
    InterrogatorLoadTagger,
    InterrogatorLoadEncoder,
    InterrogatorLoadBanks,
    InterrogatorCaption,
    InterrogatorTag,
    InterrogatorAdvanced,
    InterrogatorNegative,
    InterrogatorRank,
    InterrogatorSimilarity,
    InterrogatorCheck,
    InterrogatorAssemble,
    InterrogatorTexts,
    InterrogatorDataset,
]

__all__ = ["NODES", "InterrogatorExtension"]


class InterrogatorExtension(ComfyExtension):
    """What ComfyUI asks this pack for."""

    async def on_load(self) -> None:
        """Offer our nodes in place of abandoned ones. ComfyUI calls this from 0.14 on."""
        await node_replacements.register()

    async def get_node_list(self) -> list[type[io.ComfyNode]]:
        downloads.serve()
        return NODES
