"""clip-interrogator 0.6.0 around a model of ours, quiet, without downloads, and its lists as it puts them together."""

from __future__ import annotations

import contextlib
import warnings
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from types import SimpleNamespace
from typing import Any
from unittest import mock

import clip_interrogator
import torch
from clip_interrogator import clip_interrogator as source

from benchmarks.models import Clip

LISTS = ("artists", "flavors", "mediums", "movements", "trendings", "negative")
MERGED = LISTS[:-1]  # what its modes fast and best rank
MODEL_NAME = "benchmark/random"  # of its cache files; the weights are passed in
DATA = Path(source.__file__).parent / "data"


def without_tables(clip: Clip, device: str = "cpu", **settings: Any) -> Any:
    """A peer whose tables hold phrases and no embeddings, for what needs none: making those would take hours."""

    def table(labels: Sequence[str], desc: str, ci: Any) -> Any:
        return SimpleNamespace(labels=list(labels), embeds=[])

    with mock.patch.object(source, "LabelTable", table):
        return _built(clip, device, cache_path=None, **settings)


def with_tables(clip: Clip, cache: Path, data: Path = DATA, device: str = "cpu", **settings: Any) -> Any:
    """A peer that reads its tables from the files of `material.write_peer_cache`."""
    return _built(clip, device, cache_path=str(cache), data_path=str(data), **settings)


def reload_tables(ci: Any, clip: Clip) -> None:
    """What a peer does between its weights and its first ranking: read the lists, read the tables of each."""
    with _its_tokenizer(clip):
        ci.load_clip_model()


def merged(ci: Any) -> Any:
    """Its five tables as one, which it builds anew for every image."""
    return source._merge_tables([getattr(ci, name) for name in MERGED], ci)


def lists(data: Path = DATA) -> Mapping[str, Sequence[str]]:
    """Its six lists of phrases, put together by its own code."""
    ci = without_tables(Clip("none", torch.nn.Identity(), lambda image: torch.empty(0), None), data_path=str(data))
    return {name: getattr(ci, name).labels for name in LISTS}


def at_max_length(ci: Any, prompt: str) -> bool:
    """Its test of the length of a prompt after each step."""
    return bool(source._prompt_at_max_len(prompt, ci.tokenize))


def table(ci: Any, labels: Sequence[str]) -> Any:
    """A table built by encoding `labels`; nothing is read or kept where `ci` has no cache folder."""
    return source.LabelTable(list(labels), "bench", ci)


def _built(clip: Clip, device: str, captioner: Any = None, captioner_processor: Any = None, **settings: Any) -> Any:
    # It warns at every call that CUDA's autocast has a new name; only the first few lines of a log would be of use.
    warnings.filterwarnings("ignore", message=".*autocast.*")
    config = clip_interrogator.Config(
        caption_model_name="blip-large" if captioner else None, clip_model_name=MODEL_NAME, download_cache=False,
        device=device, quiet=True, **settings,
    )  # fmt: skip
    config.clip_model, config.clip_preprocess = clip.model, clip.preprocess
    config.caption_model, config.caption_processor = captioner, captioner_processor
    with _its_tokenizer(clip):
        return clip_interrogator.Interrogator(config)


@contextlib.contextmanager
def _its_tokenizer(clip: Clip) -> Iterator[None]:
    """The peer looks its tokenizer up by the name of a model, which for one that was passed in says nothing."""
    with mock.patch("open_clip.get_tokenizer", lambda name: clip.tokenizer):
        yield
