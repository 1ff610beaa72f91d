"""Captioners and encoders in the care of ComfyUI: found in its folders, moved by its memory management.

The wrappers are a Captioner and an Encoder of the library, so the pipeline takes them as they are.
"""

from __future__ import annotations

import json
from collections import OrderedDict
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeVar

from .. import interrogator
from . import host

if TYPE_CHECKING:
    import torch
    from PIL import Image

    from ..interrogator import CaptionOptions, SamplingOptions

    Progress = host.Progress

DEMO = "demo"
# Bytes that one forward pass needs beside the weights, generously: eight images through BLIP large in fp32, the
# encoder's largest chunk of texts.
_CAPTION_BYTES, _ENCODER_BYTES = 2e9, 1.5e9
# Loaded models are kept for the next run; ComfyUI may still move them out of the device's memory.
_KEPT = 2
# Folders inside one of ours that a model may lie in: `org/name` at most.
_DEPTH = 2

_T = TypeVar("_T")


class HostedCaptioner:
    """A captioner whose weights ComfyUI moves."""

    def __init__(self, captioner: Any) -> None:
        self._captioner = captioner
        self._memory = host.Memory(captioner.module)

    @property
    def name(self) -> str:
        """Hub id or folder."""
        return str(self._captioner.name)

    @property
    def module(self) -> torch.nn.Module:
        module: torch.nn.Module = self._captioner.module
        return module

    def caption(
        self, images: Sequence[Image.Image], options: CaptionOptions | None = None, progress: Progress | None = None
    ) -> list[str]:
        """One caption an image."""
        self._memory.bring(_CAPTION_BYTES)
        captions: list[str] = self._captioner.caption(images, options or interrogator.CaptionOptions(), progress)
        return captions

    def sample(
        self, images: Sequence[Image.Image], keys: Sequence[str], options: SamplingOptions,
        progress: Progress | None = None,
    ) -> Any:  # fmt: skip
        """Several captions an image; see the library's `sample_captions`."""
        self._memory.bring(_CAPTION_BYTES)
        return self._captioner.sample(images, keys, options, progress)

    def shrunk(self, image: Image.Image) -> Image.Image:
        """A picture at the size that the model reads it in."""
        small: Image.Image = self._captioner.shrunk(image)
        return small


class HostedEncoder:
    """An encoder whose weights ComfyUI moves; whatever else it is asked for is the encoder's own."""

    def __init__(self, encoder: Any) -> None:
        self._encoder = encoder
        self._memory = host.Memory(encoder.module)

    def __getattr__(self, name: str) -> Any:
        if name.startswith("_"):  # a copy asks before there is an encoder
            raise AttributeError(name)
        return getattr(self._encoder, name)

    def embed_images(self, *args: Any, **options: Any) -> torch.Tensor:
        """[N, D] unit rows of images."""
        rows: torch.Tensor = self._moved(self._encoder.embed_images)(*args, **options)
        return rows

    def embed_pixels(self, *args: Any, **options: Any) -> torch.Tensor:
        """[N, D] unit rows of images that were prepared before."""
        rows: torch.Tensor = self._moved(self._encoder.embed_pixels)(*args, **options)
        return rows

    def encode_texts(self, *args: Any, **options: Any) -> torch.Tensor:
        """[N, D] unit rows of texts."""
        rows: torch.Tensor = self._moved(self._encoder.encode_texts)(*args, **options)
        return rows

    def encode_continuations(self, *args: Any, **options: Any) -> torch.Tensor:
        """[N, D] unit rows of a prompt followed by each of some phrases."""
        rows: torch.Tensor = self._moved(self._encoder.encode_continuations)(*args, **options)
        return rows

    def identity(self) -> Any:
        """What keys the cache; computed by the model the first time."""
        return self._moved(self._encoder.identity)()

    def _moved(self, method: Callable[..., _T]) -> Callable[..., _T]:
        self._memory.bring(_ENCODER_BYTES)
        return method


@dataclass(frozen=True)
class _Kind:
    """One kind of model: its folder, the file that tells it, how it is loaded and wrapped."""

    name: str  # `captioner` or `encoder`, as the catalog says
    folder: str
    marker: str
    loaded: OrderedDict[tuple[str, str], Any]


_CAPTIONERS = _Kind("captioner", "captioners", "config.json", OrderedDict())
_ENCODERS = _Kind("encoder", "encoders", "open_clip_config.json", OrderedDict())


def preset_names() -> list[str]:
    """What nodes offer as presets; the demo, which is for trying out, last."""
    return [*(row.name for row in interrogator.catalog.PRESETS if row.name != DEMO), DEMO]


def embedding_cache() -> Any:
    """The text embeddings that are kept between runs."""
    return interrogator.EmbeddingCache(host.embeddings_folder())


def captioner_names() -> list[str]:
    """What Load Captioner offers: the catalog's captioners, what is on disk, and the demo's."""
    return _names(_CAPTIONERS)


def encoder_names() -> list[str]:
    """What Load CLIP Encoder offers: the catalog's encoders, what is on disk, and the demo's."""
    return _names(_ENCODERS)


def captioner(name: str, precision: str, download: bool, node_id: str | None) -> HostedCaptioner:
    """A captioner by one of `captioner_names`, loaded or from the last run.

    Raises:
        InterrogatorError: it is not on disk and may not be downloaded, or its files are no such model.
    """

    def load(source: str, dtype: str) -> HostedCaptioner:
        told = host.download_progress(node_id, name)
        device = host.offload_device()
        return HostedCaptioner(interrogator.BlipCaptioner.load(source, device, dtype, download=download, progress=told))

    return _kept(_CAPTIONERS, name, precision, load)


def encoder(name: str, precision: str, download: bool, node_id: str | None) -> HostedEncoder:
    """An encoder by one of `encoder_names`, loaded or from the last run; raises as `captioner`."""

    def load(source: str, dtype: str) -> HostedEncoder:
        told = host.download_progress(node_id, name)
        device = host.offload_device()
        return HostedEncoder(interrogator.OpenClipEncoder.load(source, device, dtype, download=download, progress=told))

    return _kept(_ENCODERS, name, precision, load)


def name_in(preset: str, kind: str) -> str:
    """The model of a preset as one of `captioner_names` or `encoder_names`; kind: captioner or encoder."""
    row = interrogator.catalog.preset(preset)
    return DEMO if preset == DEMO else str(getattr(row, kind))


def _kept(kind: _Kind, name: str, precision: str, load: Callable[[str, str], _T]) -> _T:
    key = (name, precision)
    if key not in kind.loaded:
        source = _source(kind, name)
        dtype = host.precision("fp32" if name == DEMO and precision == "auto" else precision)
        folders = host.model_folders(kind.folder)
        with interrogator.model_folders(folders, download_to=folders[0], offer="switch on `download` on this node"):
            try:
                kind.loaded[key] = load(source, dtype)
            except interrogator.ModelNotFoundError as error:
                if str(error).startswith(name):
                    raise
                raise interrogator.ModelNotFoundError(f"{name} is not complete: {error}") from error
        while len(kind.loaded) > _KEPT:
            kind.loaded.popitem(last=False)
    kind.loaded.move_to_end(key)
    model: _T = kind.loaded[key]
    return model


def _source(kind: _Kind, name: str) -> str:
    """What the library loads a model of this name by."""
    preset = interrogator.catalog.preset(DEMO)
    if name == DEMO:
        return preset.captioner if kind is _CAPTIONERS else preset.encoder
    folder = _on_disk(kind).get(name)
    if folder is None:
        return name
    return str(folder) if kind is _CAPTIONERS else f"local-dir:{folder}"


def _names(kind: _Kind) -> list[str]:
    known = [row.name for row in interrogator.catalog.MODELS if row.kind == kind.name]
    return list(dict.fromkeys([*known, *_on_disk(kind), DEMO]))


def _on_disk(kind: _Kind) -> dict[str, Path]:
    """Models in ComfyUI's folders by the name a node shows: the path below the folder for models."""
    found: dict[str, Path] = {}
    seen: set[Path] = set()  # our folder for a kind lies in our folder for all
    known = {name for row in interrogator.catalog.MODELS for name in (row.name, row.name.rpartition("/")[2])}
    for root in host.model_folders(kind.folder):
        for folder in _folders_with(kind.marker, root, _DEPTH):
            name = folder.relative_to(root).as_posix()
            if (
                folder in seen
                or name.replace("--", "/") in known
                or name in {each.rpartition("/")[2] for each in known}
            ):
                continue  # shown before, or by the name the catalog has for it
            seen.add(folder)
            if kind is _ENCODERS or _is_blip(folder / kind.marker):
                found.setdefault(f"{root.name}/{name}", folder)
    return found


def _folders_with(marker: str, root: Path, depth: int) -> list[Path]:
    """Folders below `root` that hold a file of that name; what cannot be read is passed over."""
    try:
        entries = sorted(entry for entry in root.iterdir() if entry.is_dir())
    except OSError:
        return []
    found = []
    for entry in entries:
        if (entry / marker).is_file():
            found.append(entry)
        elif depth > 1:
            found += _folders_with(marker, entry, depth - 1)
    return found


def _is_blip(config: Path) -> bool:
    try:
        return bool(json.loads(config.read_text(encoding="utf-8")).get("model_type") == "blip")
    except (OSError, ValueError, AttributeError):
        return False
