"""Two models of a run are on the accelerator at most, and the one that works is one of them.

There is no accelerator here: the models stay where they are, and what would move them keeps account.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from interrogator.dataset.captioning.residency import AT_ONCE, Residents
from torch import nn

import interrogator
from interrogator.dataset import Models, Run, Settings

from .stand_in import count
from .test_captioners import write_blip
from .test_matching import write_matcher

GPU = torch.device("cuda:0")


class Account:
    """What is on the accelerator: the modules that came and did not go."""

    def __init__(self) -> None:
        self.there: set[nn.Module] = set()
        self.most = 0

    def came(self, module: nn.Module) -> None:
        self.there.add(module)
        self.most = max(self.most, len(self.there))


class OnAccelerator:
    """A model that says it is on the accelerator; moving it is put down in the account."""

    def __init__(self, module: nn.Module, account: Account, monkeypatch: pytest.MonkeyPatch) -> None:
        self.module = module
        monkeypatch.setattr(module, "parameters", lambda recurse=True: iter([torch.empty(0, device="meta")]), False)
        monkeypatch.setattr(
            module,
            "to",
            lambda device: account.there.discard(module) if str(device) == "cpu" else account.came(module),
            raising=False,
        )


@given(st.lists(st.integers(0, 3), max_size=30))
def test_whatever_is_used_is_there_with_the_one_before_it(uses: list[int]) -> None:
    account = Account()
    with pytest.MonkeyPatch.context() as monkeypatch:
        models = [OnAccelerator(nn.Identity(), account, monkeypatch) for _ in range(4)]
        residents = Residents()

        def come(model: OnAccelerator) -> OnAccelerator:
            account.came(model.module)
            return model

        for model in models:
            residents.load(lambda model=model: come(model))  # type: ignore[misc]
        last: OnAccelerator | None = None
        for place in uses:
            residents.use(models[place])
            assert models[place].module in account.there
            assert last is None or last.module in account.there, "the one that was used before stays"
            assert residents.device_of(models[place]).type == "meta"
            last = models[place]
    assert account.most <= AT_ONCE


class Plain:
    def __init__(self, module: nn.Module) -> None:
        self.module = module


def test_on_a_cpu_nothing_is_moved() -> None:
    models = [Plain(nn.Linear(1, 1)) for _ in range(4)]
    moved: list[Any] = []
    residents = Residents()
    for model in models:
        residents.load(lambda model=model: model)  # type: ignore[misc]
        model.module.to = moved.append  # type: ignore[assignment, method-assign]
    for model in models:
        assert residents.use(model) is model and residents.device_of(model).type == "cpu"
    assert not moved


@pytest.mark.models
@pytest.mark.parametrize("quality", ["greedy", "beam", "best-of-n", "capfilt", "laion-coco"])
def test_a_model_of_a_run_is_there_when_it_works(quality: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    account = Account()
    hooks: list[Any] = []

    class Elsewhere(Residents):
        """Takes what is loaded for something on an accelerator."""

        def load(self, load: Any) -> Any:
            self._make_room()
            model = load()
            account.came(model.module)
            self._here.append((model.module, GPU))
            monkeypatch.setattr(
                model.module,
                "to",
                lambda device: account.there.discard(model.module) if device == "cpu" else account.came(model.module),
                raising=False,
            )

            def works(*_: Any) -> None:
                assert model.module in account.there

            parts = [part for part in model.module.modules() if next(part.children(), None) is None]
            hooks.extend(part.register_forward_pre_hook(works) for part in parts)
            return model

    monkeypatch.setattr("interrogator.dataset.captioning.models.models.Residents", Elsewhere)
    monkeypatch.setenv("INTERROGATOR_HOME", str(tmp_path / "home"))
    folder = tmp_path / "pictures"
    folder.mkdir()
    for seed in range(5):
        interrogator.demo.creature(seed)[0].save(folder / f"{seed}.png")
    settings = Settings(
        preset="demo", quality=quality, score=True, captioner=str(write_blip(tmp_path / "blip")), max_tokens=8,
        matcher=str(write_matcher(tmp_path / "matcher")), second_encoder=f"local-dir:{interrogator.demo.ENCODER_DIR}",
    )  # fmt: skip
    run = Run([folder], settings, tmp_path / "out", shard_size=2)
    summary = run.work(lambda: Models.load(settings, "cpu"), count)
    assert summary.counts["done"] and summary.counts["done"] + summary.counts["failed"] == 5  # by chance, no words
    loaded = {"capfilt": 3, "laion-coco": 3}.get(quality, 2)
    assert hooks and account.most == AT_ONCE
    told = run.folder / "run.json"
    assert told.read_text(encoding="utf-8").count('"device": "cuda:0"') == loaded
