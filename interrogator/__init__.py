"""Interrogator: from an image to the words that would make it.

    import interrogator

    ci = interrogator.load("demo")
    print(ci.interrogate("photo.jpg", mode="best").prompt)

Importing this package loads none of torch, transformers and open_clip; the names below bring in what they need
when they are first used (PEP 562).
"""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING, Any

from .errors import (
    BankError,
    CacheError,
    DeviceError,
    ImageReadError,
    InterrogatorError,
    ModelError,
    ModelLoadError,
    ModelNotFoundError,
    RequestError,
    RunStopped,
    UnknownModelError,
)

if TYPE_CHECKING:
    from . import catalog, dataset, demo, images
    from .banks import PhraseBank, load_banks
    from .captioners import BlipCaptioner, BlipMatcher, Captioner, CaptionOptions, SamplingOptions, sample_captions
    from .embeddings import EmbeddingCache
    from .encoders import Encoder, OpenClipEncoder
    from .hub import model_folders
    from .pipeline import Interrogation, Interrogator, Mode, RankedPhrase, assemble, load

__version__ = "0.1.0"

__all__ = [
    "BankError",
    "BlipCaptioner",
    "BlipMatcher",
    "CacheError",
    "CaptionOptions",
    "Captioner",
    "DeviceError",
    "EmbeddingCache",
    "Encoder",
    "ImageReadError",
    "Interrogation",
    "Interrogator",
    "InterrogatorError",
    "Mode",
    "ModelError",
    "ModelLoadError",
    "ModelNotFoundError",
    "OpenClipEncoder",
    "PhraseBank",
    "RankedPhrase",
    "RequestError",
    "RunStopped",
    "SamplingOptions",
    "UnknownModelError",
    "__version__",
    "assemble",
    "catalog",
    "dataset",
    "demo",
    "images",
    "load",
    "load_banks",
    "model_folders",
    "sample_captions",
]

_MODULES = {"catalog": ".catalog", "dataset": ".dataset", "demo": ".demo", "images": ".images"}
_HOMES = {
    ".banks": ("PhraseBank", "load_banks"),
    ".captioners": (
        "BlipCaptioner",
        "BlipMatcher",
        "CaptionOptions",
        "Captioner",
        "SamplingOptions",
        "sample_captions",
    ),
    ".embeddings": ("EmbeddingCache",),
    ".encoders": ("Encoder", "OpenClipEncoder"),
    ".hub": ("model_folders",),
    ".pipeline": ("Interrogation", "Interrogator", "Mode", "RankedPhrase", "assemble", "load"),
}
_HOME = {name: home for home, names in _HOMES.items() for name in names}


def __getattr__(name: str) -> Any:
    if name in _MODULES:
        return import_module(_MODULES[name], __name__)
    if name in _HOME:
        return getattr(import_module(_HOME[name], __name__), name)
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")


def __dir__() -> list[str]:
    return sorted(__all__)
