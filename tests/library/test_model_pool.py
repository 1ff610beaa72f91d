"""What is loaded stays loaded; two models are on the accelerator at most, and the one that works is one of them.

There is no accelerator here: the models stay where they are, and what would move them keeps account.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from torch import nn

import interrogator
from interrogator.dataset import Models, Run, Settings
from interrogator.model_pool import ModelPool

from .stand_in import count
from .test_captioners import write_blip
from .test_matching import write_matcher

GPU = torch.device("cuda:0")
ON_DEVICE = 2


class Account:
    """What is on the accelerator: the modules that came and did not go."""

    def __init__(self) -> None:
        self.there: set[nn.Module] = set()
        self.most = 0

    def came(self, module: nn.Module) -> None:
        self.there.add(module)
        self.most = max(self.most, len(self.there))

    def moves(self, module: nn.Module, device: Any) -> None:
        if str(device) == "cpu":
            self.there.discard(module)
        else:
            self.came(module)


class Elsewhere:
    """A model that says it is on the accelerator; moving it is put down in the account."""

    def __init__(self, model: Any, account: Account) -> None:
        self._model = model
        self.module = model.module
        self.device = GPU
        account.came(self.module)
        self.module.to = lambda device: account.moves(self.module, device)

    def __getattr__(self, name: str) -> Any:
        return getattr(self._model, name)


def pool_of(models: dict[str, Any], monkeypatch: pytest.MonkeyPatch, **options: Any) -> ModelPool:
    """A pool that loads models by these names."""
    monkeypatch.setattr("interrogator.model_pool.load_model", lambda role, name, **_: models[name]())
    return ModelPool(**options)


@given(st.lists(st.integers(0, 3), max_size=30))
def test_whatever_is_used_is_there_with_the_one_before_it(uses: list[int]) -> None:
    account = Account()
    with pytest.MonkeyPatch.context() as monkeypatch:
        loads = {str(number): lambda: Elsewhere(Plain(nn.Identity()), account) for number in range(4)}
        pool = pool_of(loads, monkeypatch)
        models = [pool.load("encoder", name) for name in loads]
        last: Elsewhere | None = None
        for number in uses:
            pool.use(models[number])
            assert models[number].module in account.there
            assert last is None or last.module in account.there, "the one that was used before stays"
            assert pool.device_of(models[number]) == GPU
            last = models[number]
    assert account.most <= ON_DEVICE


class Plain:
    device = torch.device("cpu")

    def __init__(self, module: nn.Module) -> None:
        self.module = module


def test_on_a_cpu_nothing_is_moved(monkeypatch: pytest.MonkeyPatch) -> None:
    plain = [Plain(nn.Linear(1, 1)) for _ in range(4)]
    moved: list[Any] = []
    pool = pool_of({str(number): lambda model=model: model for number, model in enumerate(plain)}, monkeypatch)
    for number, model in enumerate(plain):
        assert pool.load("encoder", str(number)) is model
        model.module.to = moved.append  # type: ignore[assignment, method-assign]
    for model in plain:
        assert pool.use(model) is model and pool.device_of(model).type == "cpu"
    assert not moved


def test_a_model_is_loaded_once_for_the_same_options(monkeypatch: pytest.MonkeyPatch) -> None:
    pool = pool_of({"a": lambda: Plain(nn.Identity())}, monkeypatch)
    first = pool.load("encoder", "a", device="cpu", dtype="fp32")
    assert pool.load("encoder", "a", device="cpu", dtype="fp32") is first
    assert pool.load("encoder", "a", device="cpu", dtype="bf16") is not first
    assert pool.load("captioner", "a", device="cpu", dtype="fp32") is not first


def test_a_pool_lets_go_of_the_models_of_a_role_that_were_used_longest_ago(monkeypatch: pytest.MonkeyPatch) -> None:
    pool = pool_of(dict.fromkeys("abc", lambda: Plain(nn.Identity())), monkeypatch, keep=2)
    first, second = pool.load("encoder", "a"), pool.load("encoder", "b")
    captioner = pool.load("captioner", "a")
    assert pool.load("encoder", "a") is first
    pool.load("encoder", "c")
    assert pool.load("encoder", "a") is first and pool.load("captioner", "a") is captioner
    assert pool.load("encoder", "b") is not second, "it was used longest ago"


@pytest.mark.models
@pytest.mark.parametrize("quality", ["greedy", "beam", "best-of-n", "capfilt", "laion-coco"])
def test_a_model_of_a_run_is_there_when_it_works(quality: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    account = Account()
    hooks: list[Any] = []

    def wrapped(model: Any) -> Elsewhere:
        elsewhere = Elsewhere(model, account)

        def works(*_: Any) -> None:
            assert model.module in account.there

        parts = [part for part in model.module.modules() if next(part.children(), None) is None]
        hooks.extend(part.register_forward_pre_hook(works) for part in parts)
        return elsewhere

    monkeypatch.setattr("interrogator.dataset.captioning.models.ModelPool", lambda: ModelPool(wrap=wrapped))
    monkeypatch.setenv("INTERROGATOR_HOME", str(tmp_path / "home"))
    folder = tmp_path / "pictures"
    folder.mkdir()
    for seed in range(5):
        interrogator.demo.creature(seed)[0].save(folder / f"{seed}.png")
    settings = Settings(
        preset="demo", quality=quality, score=True, captioner=str(write_blip(tmp_path / "blip")), max_new_tokens=8,
        matcher=str(write_matcher(tmp_path / "matcher")), reranker=f"local-dir:{interrogator.demo.ENCODER_DIR}",
    )  # fmt: skip
    run = Run([folder], settings, tmp_path / "out", shard_size=2)
    summary = run.work(lambda: Models.load(settings, "cpu"), count)
    assert summary.counts["done"] and summary.counts["done"] + summary.counts["failed"] == 5  # by chance, no words
    loaded = {"capfilt": 3, "laion-coco": 3}.get(quality, 2)
    assert hooks and account.most == ON_DEVICE
    run_file = run.folder / "run.json"
    assert run_file.read_text(encoding="utf-8").count('"device": "cuda:0"') == loaded
