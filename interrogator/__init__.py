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
from .version import __version__

if TYPE_CHECKING:
    from . import catalog, dataset, demo, images
    from .banks import PhraseBank, load_banks
    from .captioners import CaptionOptions, Sampled, SamplingOptions
    from .captioners.blip.captioner import BlipCaptioner
    from .captioners.sampling import sample_captions
    from .embeddings import EmbeddingCache
    from .encoders.open_clip.encoder import OpenClipEncoder
    from .evidence import Claim, split_claims
    from .hub import model_folders
    from .matchers.blip import BlipMatcher
    from .model_pool import ModelPool
    from .models import Captioner, Encoder, Matcher, Tag, Tagger
    from .modes import Mode
    from .pipeline import Compared, Interrogation, Interrogator, RankedPhrase, SharedPhrase, assemble, load
    from .reading import Candidate, Reading
    from .registry import load_captioner, load_encoder, load_matcher, load_tagger
    from .taggers import TagRules, join_tags, select_tags

__all__ = [
    "BankError",
    "BlipCaptioner",
    "BlipMatcher",
    "CacheError",
    "Candidate",
    "CaptionOptions",
    "Captioner",
    "Claim",
    "Compared",
    "DeviceError",
    "EmbeddingCache",
    "Encoder",
    "ImageReadError",
    "Interrogation",
    "Interrogator",
    "InterrogatorError",
    "Matcher",
    "Mode",
    "ModelError",
    "ModelLoadError",
    "ModelNotFoundError",
    "ModelPool",
    "OpenClipEncoder",
    "PhraseBank",
    "RankedPhrase",
    "Reading",
    "RequestError",
    "RunStopped",
    "Sampled",
    "SamplingOptions",
    "SharedPhrase",
    "Tag",
    "TagRules",
    "Tagger",
    "UnknownModelError",
    "__version__",
    "assemble",
    "catalog",
    "dataset",
    "demo",
    "images",
    "join_tags",
    "load",
    "load_banks",
    "load_captioner",
    "load_encoder",
    "load_matcher",
    "load_tagger",
    "model_folders",
    "sample_captions",
    "select_tags",
    "split_claims",
]

_MODULES = {name: f".{name}" for name in ("catalog", "dataset", "demo", "images")}
_HOMES = {
    ".banks": ("PhraseBank", "load_banks"),
    ".captioners": ("CaptionOptions", "Sampled", "SamplingOptions"),
    ".captioners.blip.captioner": ("BlipCaptioner",),
    ".captioners.sampling": ("sample_captions",),
    ".embeddings": ("EmbeddingCache",),
    ".encoders.open_clip.encoder": ("OpenClipEncoder",),
    ".evidence": ("Claim", "split_claims"),
    ".hub": ("model_folders",),
    ".matchers.blip": ("BlipMatcher",),
    ".model_pool": ("ModelPool",),
    ".models": ("Captioner", "Encoder", "Matcher", "Tag", "Tagger"),
    ".modes": ("Mode",),
    ".pipeline": ("Compared", "Interrogation", "Interrogator", "RankedPhrase", "SharedPhrase", "assemble", "load"),
    ".reading": ("Candidate", "Reading"),
    ".registry": ("load_captioner", "load_encoder", "load_matcher", "load_tagger"),
    ".taggers": ("TagRules", "join_tags", "select_tags"),
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
