"""Fixtures that several tests of the library share."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest


@pytest.fixture(scope="session", autouse=True)
def home_of_its_own(tmp_path_factory: pytest.TempPathFactory) -> Iterator[None]:
    """Tests, and the processes they start, leave the user's own folder alone."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("INTERROGATOR_HOME", str(tmp_path_factory.mktemp("home")))
        yield


@pytest.fixture
def creature_folder(tmp_path: Path) -> Path:
    """A folder with the creatures 1 and 2 as `1.png` and `2.png`."""
    from interrogator.demo.creatures import creature

    folder = tmp_path / "pictures"
    folder.mkdir()
    for seed in (1, 2):
        creature(seed)[0].save(folder / f"{seed}.png")
    return folder


@pytest.fixture(scope="module")
def one_thread() -> Iterator[None]:
    """Small models are fastest on one thread, and tests that run beside others should not fight for cores."""
    import torch

    before = torch.get_num_threads()
    torch.set_num_threads(1)
    yield
    torch.set_num_threads(before)


@pytest.fixture(scope="session")
def bert_folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A word-piece tokenizer with padding 0 and the configuration of a small BERT."""
    from .small_models import write_hf_folder

    return write_hf_folder(tmp_path_factory.mktemp("bert"), pad_id=0)


@pytest.fixture(scope="session")
def roberta_folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A word-piece tokenizer with padding 1 and the configuration of a small RoBERTa."""
    from .small_models import write_hf_folder

    return write_hf_folder(tmp_path_factory.mktemp("roberta"), pad_id=1)
