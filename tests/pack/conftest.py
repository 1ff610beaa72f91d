"""The pack, loaded into stand-ins of ComfyUI, with the demo's models and pictures."""

from __future__ import annotations

import shutil
from collections.abc import Callable, Iterator, Sequence
from contextlib import ExitStack
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from PIL import Image

import interrogator

from .stand_ins import ComfyUI, Listed, Pack, load_pack, run

SEEDS = (1, 2, 3)


@dataclass(frozen=True)
class Demo:
    """The demo's models and phrases as they come out of the loaders: what goes over links."""

    captioner: Listed
    encoder: Listed
    banks: Listed


@pytest.fixture(scope="session", autouse=True)
def home_of_its_own(tmp_path_factory: pytest.TempPathFactory) -> Iterator[None]:
    """Neither the user's own folder nor the Hugging Face cache is looked into."""
    from huggingface_hub import constants

    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("INTERROGATOR_HOME", str(tmp_path_factory.mktemp("home")))
        patch.setattr(constants, "HF_HUB_CACHE", str(tmp_path_factory.mktemp("hub")))
        yield


@pytest.fixture(scope="session", autouse=True)
def one_thread() -> Iterator[None]:
    """Small models are fastest on one thread."""
    before = torch.get_num_threads()
    torch.set_num_threads(1)
    yield
    torch.set_num_threads(before)


@pytest.fixture(scope="module")
def comfyui(tmp_path_factory: pytest.TempPathFactory) -> Iterator[ComfyUI]:
    """A newer ComfyUI; the demo's banks are lists of the user."""
    made = ComfyUI(tmp_path_factory.mktemp("comfyui"))
    put_demo_banks(made)
    with made.installed():
        yield made


@pytest.fixture(scope="module")
def pack(comfyui: ComfyUI) -> Pack:
    return load_pack(comfyui)


@pytest.fixture(scope="module")
def demo(pack: Pack) -> Demo:
    return load_demo(pack)


@pytest.fixture(scope="module")
def library_demo(pack: Pack, tmp_path_factory: pytest.TempPathFactory) -> Any:
    """The demo as the library alone has it: no host, models of its own, a cache of its own."""
    return pack.library.load("demo", device="cpu", cache_dir=tmp_path_factory.mktemp("cache"))


@pytest.fixture(scope="module")
def library_says(library_demo: Any, creatures: list[Image.Image]) -> Callable[[str, int], list[Any]]:
    """The library's answers about the first so many creatures in a mode, each found once."""
    known: dict[str, list[Any]] = {}

    def say(mode: str, count: int = len(SEEDS)) -> list[Any]:
        if mode not in known:
            known[mode] = library_demo.interrogate_many(creatures, mode)
        return known[mode][:count]

    return say


@pytest.fixture
def new_comfyui(tmp_path: Path) -> Iterator[Callable[..., ComfyUI]]:
    """Makes a ComfyUI for one test; the pack is not loaded yet."""
    with ExitStack() as stack:

        def make(version: int = 33, base: Path | None = None) -> ComfyUI:
            made = ComfyUI(base or tmp_path / "comfyui", version)
            stack.enter_context(made.installed())
            return made

        yield make


@pytest.fixture(scope="session")
def creatures() -> list[Image.Image]:
    """Three pictures of one size."""
    return [interrogator.demo.creature(seed)[0].convert("RGB") for seed in SEEDS]


def put_demo_banks(comfyui: ComfyUI) -> None:
    """The demo's phrases as a folder `demo` of lists that a graph may name."""
    shutil.copytree(interrogator.demo.BANKS_DIR, comfyui.models / "interrogator" / "banks" / "demo")


def load_demo(pack: Pack) -> Demo:
    """What the loaders give for the demo."""
    captioner = run(pack.nodes["InterrogatorLoadCaptioner"], model="demo")[0]
    encoder = run(pack.nodes["InterrogatorLoadEncoder"], model="demo")[0]
    return Demo(Listed(captioner), Listed(encoder), demo_banks(pack))


def demo_banks(pack: Pack, **given: Any) -> Listed:
    """The demo's phrases and nothing else, from Load Phrase Banks."""
    off = {name: False for name in ("mediums", "movements", "sites", "negative")}
    asked = {"artists": "none", "flavors": "none", "file": "demo", **off, **given}
    return Listed(run(pack.nodes["InterrogatorLoadBanks"], **asked)[0])


def batch(pictures: Sequence[Image.Image], dtype: torch.dtype = torch.float32) -> torch.Tensor:
    """Pictures of one size as an IMAGE [B, H, W, C]."""
    levels = np.stack([np.atleast_3d(np.asarray(picture)) for picture in pictures])
    return (torch.from_numpy(levels).float() / 255).to(dtype)


def images(pictures: Sequence[Image.Image]) -> Listed:
    """Pictures as one IMAGE over a link."""
    return Listed([batch(pictures)])
