"""Locating the parts of an open_clip model: architecture, weights, tokenizer, configuration of the text tower.

open_clip downloads files as it needs them and falls back to random weights if one is missing. Here every part is found
on disk (or downloaded, if allowed) before open_clip builds anything.
"""

from __future__ import annotations

import json
import logging
import os
from dataclasses import dataclass, field
from difflib import get_close_matches
from os import PathLike
from pathlib import Path
from typing import Any

from ... import hub
from ...catalog import known_model, unknown
from ...errors import ModelLoadError, ModelNotFoundError, UnknownModelError
from ...files import instead_of_content
from ...paths import given_path, is_folder
from ...pickled_weights import is_torchscript
from ...progress import Progress

logger = logging.getLogger("interrogator")

LOCAL_DIR = "local-dir:"  # before a folder, for open_clip
HF_HUB = "hf-hub:"
CONFIG_FILE = "open_clip_config.json"
# Names of weights files on the Hub (open_clip/constants.py). There, `model.safetensors` is in transformers' format.
WEIGHT_FILES = ("open_clip_model.safetensors", "open_clip_pytorch_model.bin")
# Names that open_clip accepts in a folder, best first (open_clip/factory.py, `_find_checkpoint_in_dir`).
FOLDER_WEIGHT_FILES = (
    "open_clip_model.safetensors",
    "open_clip_pytorch_model.safetensors",
    "open_clip_pytorch_model.bin",
    "open_clip_pytorch_model.pth",
    "model.safetensors",
    "pytorch_model.bin",
)
TOKENIZER_FILES = ("tokenizer.json", "sentencepiece.bpe.model", "spiece.model", "vocab.txt", "vocab.json")
TOKENIZER_EXTRAS = ("tokenizer_config.json", "special_tokens_map.json", "merges.txt", "config.json")


@dataclass
class Parts:
    """The parts of one open_clip model, all on disk.

    Attributes:
        model_name: what `open_clip.create_model` takes: an architecture or `local-dir:FOLDER`.
        model_cfg: the architecture's configuration as open_clip writes it.
        checkpoint: the weights file.
        preprocess: the tag's image settings (mean, std, interpolation, resize_mode); empty for a folder, whose own
            configuration holds them.
        quick_gelu: the activation the weights were trained with; None leaves it to the configuration.
        tokenizer: folder of a Hugging Face tokenizer; None for open_clip's own.
        text_config: folder with the `config.json` of a Hugging Face text tower; None for open_clip's own.
    """

    model_name: str
    model_cfg: dict[str, Any]
    checkpoint: Path
    preprocess: dict[str, Any] = field(default_factory=dict)
    quick_gelu: bool | None = None
    tokenizer: Path | None = None
    text_config: Path | None = None

    @property
    def folder(self) -> Path:
        """Where the weights lie."""
        return self.checkpoint.parent


def find_parts(
    name: str,
    folder: Path | None,
    *,
    checkpoint: str | PathLike[str] | None = None,
    download: bool = False,
    progress: Progress | None = None,
    revision: str | None = None,
) -> Parts | None:
    """Find all parts of a model: in `folder`, or by name: `arch/tag`, `arch` with a checkpoint, or `hf-hub:REPO`.

    revision: of `hf-hub:REPO`; a tag already specifies its weights.

    Returns None if the name is none of these, that is, it does not start with an architecture of open_clip.

    Raises:
        UnknownModelError: the tag is unknown, or the name has neither tag nor checkpoint.
        ModelNotFoundError: files are missing; names all of them, including secondary files, and where to put them.
        ModelLoadError: a configuration cannot be read.
    """
    find = _Finder(download, progress)
    weights = given_path(checkpoint) if checkpoint else None
    if folder is not None or name.startswith(HF_HUB):
        if weights is not None:
            raise ModelLoadError(f"{name} has its own weights; use a checkpoint with an architecture such as ViT-L-14")
        parts = _from_folder(name, folder, find, revision)
    elif not _is_architecture(name, weights, download):
        return None
    else:
        parts = _from_architecture(name, weights, find)
    if parts is not None:
        _find_tokenizer(parts, find)
    find.raise_missing(name)
    assert parts is not None
    return parts


def _is_architecture(name: str, checkpoint: Path | None, download: bool) -> bool:
    """Whether a name is open_clip's `ARCH` or `ARCH/TAG`, and not a repository `org/name`.

    Raises UnknownModelError: it resembles one, or comes with a checkpoint, and cannot be anything else.
    """
    import open_clip

    known = open_clip.list_models()
    architecture, _, tag = name.partition("/")
    if architecture in known:
        return not tag or tag in open_clip.list_pretrained_tags_by_model(architecture) or not _is_on_disk(name)
    lowered = architecture.casefold()
    is_near = bool(get_close_matches(lowered, [each.casefold() for each in known], n=1, cutoff=0.85))
    may_be_repo = bool(tag) and (download or _is_on_disk(name))
    if checkpoint is not None or (is_near and not may_be_repo):
        raise UnknownModelError(unknown("open_clip architecture", architecture, known))
    return False


def _is_on_disk(repo: str) -> bool:
    return hub.find_files(repo, any_of=((CONFIG_FILE, "config.json"),)) is not None


class _Finder:
    """Fetches files, and collects what is missing so that one message can name all of it."""

    def __init__(self, download: bool, progress: Progress | None) -> None:
        self.download = download
        self.progress = progress
        self.missing: list[ModelNotFoundError] = []

    def files(self, repo: str, **wanted: Any) -> Path | None:
        try:
            return hub.fetch_files(repo, **wanted, download=self.download, progress=self.progress)
        except ModelNotFoundError as error:
            self.missing.append(error)
            return None

    def raise_missing(self, name: str) -> None:
        if len(self.missing) == 1:
            raise self.missing[0]
        if self.missing:
            parts = "; ".join(map(str, self.missing))
            raise ModelNotFoundError(f"{name} is incomplete: {parts}") from self.missing[0]


def _from_folder(name: str, folder: Path | None, find: _Finder, revision: str | None) -> Parts | None:
    repo = name.removeprefix(HF_HUB) if folder is None else str(folder)
    names: tuple[str, ...] = WEIGHT_FILES if folder is None else FOLDER_WEIGHT_FILES
    found = find.files(
        repo, required=(CONFIG_FILE,), any_of=(names,), optional=(*TOKENIZER_FILES, *TOKENIZER_EXTRAS),
        revision=revision,
    )  # fmt: skip
    if found is None:
        return None
    folder = found
    try:
        config = json.loads((folder / CONFIG_FILE).read_text(encoding="utf-8"))
        model_cfg = config["model_cfg"]
        _ = model_cfg["text_cfg"].get, model_cfg["vision_cfg"].get  # both are tables
    except (OSError, ValueError, KeyError, TypeError, AttributeError) as error:
        raise ModelLoadError(f"{folder / CONFIG_FILE} is not an open_clip configuration ({error!r})") from error
    return Parts(f"{LOCAL_DIR}{folder}", model_cfg, _weights_in(folder))


def _from_architecture(name: str, checkpoint: Path | None, find: _Finder) -> Parts | None:
    import open_clip

    architecture, _, tag = name.partition("/")
    model_cfg = open_clip.get_model_config(architecture)
    if model_cfg is None:
        raise UnknownModelError(unknown("open_clip architecture", architecture, open_clip.list_models()))
    tags = open_clip.list_pretrained_tags_by_model(architecture)
    if tag:
        tag_cfg = open_clip.get_pretrained_cfg(architecture, tag)
        if not tag_cfg:
            raise UnknownModelError(unknown(f"tag of {architecture}", tag, tags))
    elif checkpoint is None:
        raise UnknownModelError(
            f"{architecture} needs weights: {architecture}/TAG with one of {', '.join(tags)}, or a checkpoint file"
        )
    else:
        tag_cfg = _shared_settings([open_clip.get_pretrained_cfg(architecture, known) for known in tags])
    if checkpoint is not None:
        _check_file(checkpoint)
    weights = checkpoint or _tag_weights(name, tag_cfg["hf_hub"], find)
    quick_gelu = tag_cfg.get("quick_gelu", False) if tag else None
    if checkpoint is not None and not tag and is_torchscript(checkpoint):
        quick_gelu = True  # these archives are OpenAI's, and all of its models have that activation
    preprocess = {key: tag_cfg[key] for key in ("mean", "std", "interpolation", "resize_mode") if key in tag_cfg}
    # A missing weights file is reported later, together with a missing tokenizer.
    return Parts(architecture, model_cfg, weights or Path(), preprocess, quick_gelu)


def _check_file(checkpoint: Path) -> None:
    """Raises ModelNotFoundError, ModelLoadError: a checkpoint is not there, or no file of weights."""
    if is_folder(checkpoint):
        raise ModelLoadError(f"checkpoint {checkpoint} is a folder: name the file in it, or the folder as the model")
    if not os.path.lexists(checkpoint):
        raise ModelNotFoundError(f"checkpoint file {checkpoint} does not exist")
    instead = instead_of_content(checkpoint)
    if instead:
        raise ModelLoadError(f"checkpoint {checkpoint} {instead}")


def _tag_weights(name: str, hf_hub: str, find: _Finder) -> Path | None:
    """The folder of a tag's weights. open_clip's `hf_hub` is `org/repo/file`, or `org/repo/` for default file names."""
    repo, _, file = hf_hub.rpartition("/")
    names = (file.rpartition(".")[0] + ".safetensors", file) if file else WEIGHT_FILES
    row = known_model("encoder", name) or known_model("captioner", name)  # a CoCa is both
    about = {"size": row.size, "revision": row.revision} if row else {}
    folder = find.files(repo, any_of=(names,), **about)
    return None if folder is None else next(folder / n for n in names if (folder / n).is_file())


def _shared_settings(tag_cfgs: list[dict[str, Any]]) -> dict[str, Any]:
    """The image settings common to all published weights of an architecture, for a checkpoint without a tag."""
    first = tag_cfgs[0] if tag_cfgs else {}
    return {key: value for key, value in first.items() if all(cfg.get(key) == value for cfg in tag_cfgs)}


def _find_tokenizer(parts: Parts, find: _Finder) -> None:
    """Find a Hugging Face tokenizer and text tower: in the model's folder, else in their own repositories."""
    text_cfg = parts.model_cfg["text_cfg"]
    own = Path(parts.model_name.removeprefix(LOCAL_DIR)) if parts.model_name.startswith(LOCAL_DIR) else None
    tokenizer, tower = text_cfg.get("hf_tokenizer_name"), text_cfg.get("hf_model_name")
    if tokenizer:
        if own and any((own / name).is_file() for name in TOKENIZER_FILES):
            parts.tokenizer = own
        else:
            repo = _inside(own, tokenizer)
            parts.tokenizer = find.files(repo, any_of=(TOKENIZER_FILES,), optional=TOKENIZER_EXTRAS)
    if tower:
        parts.text_config = find.files(_inside(own, tower), required=("config.json",))


def _inside(folder: Path | None, name: str) -> str:
    """The folder that a configuration names by a path relative to its own folder; else the name itself."""
    return str(folder / name) if folder and (folder / name).is_dir() else name


def _weights_in(folder: Path) -> Path:
    return next(folder / name for name in FOLDER_WEIGHT_FILES if (folder / name).is_file())
