"""What this repository puts into ComfyUI."""

from __future__ import annotations

from pathlib import Path

ROOT = Path(__file__).parents[2]
NAME = "image-interrogator"
"""The folder in custom_nodes."""

NODES = [
    "InterrogatorImage",
    "InterrogatorLoadCaptioner",
    "InterrogatorEndpoint",
    "InterrogatorLoadTagger",
    "InterrogatorLoadEncoder",
    "InterrogatorLoadBanks",
    "InterrogatorCaption",
    "InterrogatorTag",
    "InterrogatorAdvanced",
    "InterrogatorNegative",
    "InterrogatorRank",
    "InterrogatorSimilarity",
    "InterrogatorCheck",
    "InterrogatorAssemble",
    "InterrogatorTexts",
    "InterrogatorDataset",
]


def names(folder: str, pattern: str) -> list[str]:
    """The names, without their endings, of files in one of the repository's folders; none where it is not there."""
    return sorted(path.stem for path in (ROOT / folder).glob(pattern))
