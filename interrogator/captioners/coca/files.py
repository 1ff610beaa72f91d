"""Finding a CoCa: by its folder or its names in open_clip, as its encoder is found."""

from __future__ import annotations

from difflib import get_close_matches
from os import PathLike
from pathlib import Path

from ...encoders.open_clip import files
from ...errors import ModelLoadError
from ...progress import Progress


def find_parts(
    name: str,
    folder: Path | None,
    *,
    checkpoint: str | PathLike[str] | None = None,
    download: bool = False,
    progress: Progress | None = None,
    revision: str | None = None,
) -> files.Parts | None:
    """The parts of a CoCa; arguments and errors as of the `find_parts` of open_clip's encoders.

    Returns None if the name is not one of open_clip's. Raises ModelLoadError: it names a model that writes no captions.
    """
    if folder is None and not name.startswith(files.HF_HUB) and not _is_coca(name):
        return None
    parts = files.find_parts(
        name, folder, checkpoint=checkpoint, download=download, progress=progress, revision=revision
    )
    if parts is not None and not _writes(parts.model_cfg):
        raise ModelLoadError(f"{name} is an encoder, not a captioner: only the CoCa models of open_clip write captions")
    return parts


def _is_coca(name: str) -> bool:
    """Whether a name is `ARCH` or `ARCH/TAG` of an open_clip model with a text decoder, or looks like one.

    Raises ModelLoadError: it is one of another open_clip model.
    """
    import open_clip

    architecture, _, tag = name.partition("/")
    config = open_clip.get_model_config(architecture)
    if config is None:
        known = [each for each in open_clip.list_models() if _writes(open_clip.get_model_config(each))]
        return bool(get_close_matches(architecture, known, n=1, cutoff=0.85))
    if not _writes(config) and (not tag or tag in open_clip.list_pretrained_tags_by_model(architecture)):
        raise ModelLoadError(f"{name} is an encoder, not a captioner: only the CoCa models of open_clip write captions")
    return _writes(config)


def _writes(model_cfg: object) -> bool:
    return isinstance(model_cfg, dict) and "multimodal_cfg" in model_cfg
