"""The files of RAM++: weights from the hub, and two lists that are only in the project's code repository."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Any

from ... import hub
from ...catalog import known_model
from ...errors import ModelLoadError, ModelNotFoundError
from ...models import Located
from ..text_files import check_not_pointer, read_text
from ..vocabulary import Vocabulary, Word

TAGS, THRESHOLDS = "ram_tag_list.txt", "ram_tag_list_threshold.txt"
WEIGHTS = ("ram_plus_swin_large_14m.safetensors", "ram_plus_swin_large_14m.pth", "model.safetensors")
_ORIGIN = "folder ram/data of github.com/xinyu1205/recognize-anything, not from the hub"


@dataclass(frozen=True)
class RamFiles:
    """What a RAM++ is made of.

    Attributes:
        weights: safetensors, or a checkpoint of torch.
        tags: one tag a line, in the order of the network's output.
        thresholds: one number a line, in the same order: the probability from which the tag holds.
    """

    weights: Path
    tags: Path
    thresholds: Path

    @property
    def folder(self) -> Path:
        """Where the weights lie."""
        return self.weights.parent


def find_parts(
    name: str, folder: Path | None, *, checkpoint: Any = None, download: bool = False, revision: str | None = None,
    progress: Any = None,
) -> RamFiles | None:  # fmt: skip
    """The files of a RAM++ in a folder, or of one in the catalog, whose lists may lie apart from its weights.

    None: the catalog has no RAM++ of this name.

    Raises:
        ModelNotFoundError: files are missing; says which, and where the lists come from.
        ModelLoadError: a checkpoint was named, or a file stands in place of another.
    """
    if checkpoint is not None:
        raise ModelLoadError(f"{name} has its own weights; use a checkpoint with an architecture such as ViT-L-14")
    row = known_model("tagger", name)
    if folder is None and (row is None or row.family != "ram"):
        return None
    source = str(folder) if folder is not None else name
    lists = hub.find_files(source, required=(TAGS, THRESHOLDS))
    if lists is None:  # before anything large is downloaded
        target = folder or hub.local_folder(source)
        raise ModelNotFoundError(f"{name} needs {TAGS} and {THRESHOLDS} from {_ORIGIN}: put them into {target}")
    size = row.size if row is not None else None
    weights = hub.fetch_files(
        source, any_of=(WEIGHTS,), download=download, revision=revision, size=size, progress=progress
    )
    path = next(weights / each for each in WEIGHTS if (weights / each).is_file())
    check_not_pointer(path)
    return RamFiles(path, lists / TAGS, lists / THRESHOLDS)


def read_vocabulary(located: Located) -> Vocabulary:
    """The tags with a threshold each. Raises ModelLoadError: the lists do not belong together."""
    files: RamFiles = located.parts
    tags = [line.strip() for line in read_text(files.tags).splitlines() if line.strip()]
    numbers = read_text(files.thresholds).split()
    try:
        thresholds = [float(number) for number in numbers]
    except ValueError as error:
        raise ModelLoadError(
            f"{files.thresholds} is not a list of numbers ({error}): take it from {_ORIGIN}"
        ) from error
    if len(tags) != len(thresholds) or not tags:
        raise ModelLoadError(
            f"{files.tags} has {len(tags)} tags, but {files.thresholds} {len(thresholds)} thresholds: "
            f"take both from {_ORIGIN}"
        )
    return Vocabulary([Word(tag, threshold=each) for tag, each in zip(tags, thresholds, strict=True)])
