"""Files of models on disk: where they are looked for, and what is said of those that are missing."""

from __future__ import annotations

import json
import os
import sys
import threading
from pathlib import Path

import pytest

import interrogator
from interrogator import hub
from interrogator.errors import ModelNotFoundError
from interrogator.registry import locate

pytestmark = pytest.mark.models  # the oldest transformers comes with the oldest huggingface_hub

REPO = "maker/tiny"
COMMIT = "a" * 40
WEIGHTS = ("model.safetensors", "pytorch_model.bin")


@pytest.fixture(autouse=True)
def _own_folders(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    from huggingface_hub import constants

    monkeypatch.setenv("INTERROGATOR_HOME", str(tmp_path / "home"))
    monkeypatch.setattr(constants, "HF_HUB_CACHE", str(tmp_path / "cache"))


def fill(folder: Path, *names: str, content: bytes = b"x") -> Path:
    for name in names:
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        (folder / name).write_bytes(content)
    return folder


def cached(tmp_path: Path, commit: str, *names: str) -> Path:
    return fill(base_of_cache(tmp_path) / "snapshots" / commit, *names)


def base_of_cache(tmp_path: Path) -> Path:
    return tmp_path / "cache" / "models--maker--tiny"


def test_home_follows_the_variable_then_the_habits_of_the_system(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    assert hub.home() == tmp_path / "home"
    assert hub.models_dir() == tmp_path / "home" / "models"
    assert hub.local_folder(REPO) == tmp_path / "home" / "models" / "maker--tiny"

    monkeypatch.delenv("INTERROGATOR_HOME")
    monkeypatch.setattr(Path, "home", lambda: tmp_path)
    monkeypatch.setattr(sys, "platform", "linux")
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "xdg"))
    assert hub.home() == tmp_path / "xdg" / "interrogator"
    monkeypatch.setenv("XDG_CACHE_HOME", "relative/is/ignored")
    assert hub.home() == tmp_path / ".cache" / "interrogator"
    monkeypatch.setattr(sys, "platform", "darwin")
    assert hub.home() == tmp_path / "Library" / "Caches" / "interrogator"
    monkeypatch.setattr(sys, "platform", "win32")
    monkeypatch.setenv("LOCALAPPDATA", str(tmp_path / "local"))
    assert hub.home() == tmp_path / "local" / "interrogator"
    monkeypatch.delenv("LOCALAPPDATA")
    assert hub.home() == tmp_path / "AppData" / "Local" / "interrogator"


def test_asking_where_things_are_creates_nothing(tmp_path: Path) -> None:
    hub.models_dir(), hub.local_folder(REPO), hub.find_files(REPO, required=["config.json"])
    assert list(tmp_path.iterdir()) == []


def test_a_folder_is_found_by_its_path(tmp_path: Path) -> None:
    folder = fill(tmp_path / "mine", "config.json", "model.safetensors")
    assert hub.find_files(str(folder), required=["config.json"], any_of=[WEIGHTS]) == folder


@pytest.mark.parametrize("below", ["maker--tiny", "tiny"])
def test_files_that_people_put_by_hand_are_found(below: str) -> None:
    folder = fill(hub.models_dir() / below, "config.json", "pytorch_model.bin")
    assert hub.find_files(REPO, required=["config.json"], any_of=[WEIGHTS]) == folder
    assert hub.fetch_files(REPO, required=["config.json"], any_of=[WEIGHTS]) == folder


def test_a_folder_with_one_file_too_few_or_empty_is_not_taken() -> None:
    folder = fill(hub.local_folder(REPO), "config.json")
    assert hub.find_files(REPO, required=["config.json"], any_of=[WEIGHTS]) is None
    fill(folder, "model.safetensors", content=b"")
    assert hub.find_files(REPO, required=["config.json"], any_of=[WEIGHTS]) is None
    fill(folder, "model.safetensors")
    assert hub.find_files(REPO, required=["config.json"], any_of=[WEIGHTS]) == folder


def test_the_hugging_face_cache_is_read_by_branch_and_by_commit(tmp_path: Path) -> None:
    main, other = cached(tmp_path, COMMIT, "config.json"), cached(tmp_path, "b" * 40, "config.json", "extra.json")
    fill(tmp_path / "cache" / "models--maker--tiny" / "refs", "main", content=COMMIT.encode())
    assert hub.find_files(REPO, required=["config.json"]) == main
    assert hub.find_files(REPO, required=["config.json"], revision="b" * 40) == other
    assert hub.find_files(REPO, required=["config.json"], revision="c" * 40) is None
    assert hub.find_files(REPO, required=["extra.json"]) == other, "no revision asked for: any that is complete will do"
    assert hub.find_files(REPO, required=["extra.json"], revision="main") is None


def test_of_snapshots_without_a_reference_the_newest_is_taken(tmp_path: Path) -> None:
    ages = {"a": 40, "b": 10, "c": 30, "d": 20}  # seconds; neither the order of names nor its reverse
    for name, age in ages.items():
        folder = cached(tmp_path, name * 40, "config.json")
        os.utime(folder, (1_000_000 - age, 1_000_000 - age))
    for name in ("b", "d", "c", "a"):
        folder = base_of_cache(tmp_path) / "snapshots" / (name * 40)
        assert hub.find_files(REPO, required=["config.json"]) == folder
        (folder / "config.json").unlink()
        os.utime(folder, (1_000_000 - ages[name], 1_000_000 - ages[name]))
    assert hub.find_files(REPO, required=["config.json"]) is None


def test_of_snapshots_of_one_age_the_same_one_is_taken_whatever_the_file_system_lists_first(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    for name in "cab":
        os.utime(cached(tmp_path, name * 40, "config.json"), (1_000_000, 1_000_000))
    listed = list(Path.iterdir(base_of_cache(tmp_path) / "snapshots"))
    for order in (sorted(listed), sorted(listed, reverse=True)):
        monkeypatch.setattr(Path, "iterdir", lambda _, order=order: iter(order))
        assert hub.find_files(REPO, required=["config.json"]) == base_of_cache(tmp_path) / "snapshots" / ("c" * 40)


def test_folders_of_people_come_before_the_cache(tmp_path: Path) -> None:
    cached(tmp_path, COMMIT, "config.json")
    folder = fill(hub.local_folder(REPO), "config.json")
    assert hub.find_files(REPO, required=["config.json"]) == folder


def test_of_several_formats_the_first_named_is_taken() -> None:
    assert hub.find_file(REPO, alternatives=WEIGHTS) is None
    folder = fill(hub.local_folder(REPO), "pytorch_model.bin")
    assert hub.find_file(REPO, alternatives=WEIGHTS) == folder / "pytorch_model.bin"
    fill(folder, "model.safetensors")
    assert hub.fetch_file(REPO, alternatives=WEIGHTS) == folder / "model.safetensors"


def test_what_is_missing_is_said_in_one_sentence_with_every_file_and_the_folder() -> None:
    with pytest.raises(ModelNotFoundError) as caught:
        hub.fetch_files(REPO, required=["config.json", "tokenizer_config.json"], any_of=[WEIGHTS], size="1.9 GB")
    assert str(caught.value) == (
        "maker/tiny is not on this machine: put config.json, tokenizer_config.json and model.safetensors or "
        f"pytorch_model.bin into {hub.local_folder(REPO)}, "
        "or allow the download (1.9 GB) with --download or download=True"
    )


@pytest.mark.parametrize("name", ["./nowhere", "/no/such/folder", "a/b/c", "../x", "", "bad name/x"])
@pytest.mark.parametrize("download", [False, True])
def test_a_path_that_does_not_exist_is_never_taken_for_a_repository(name: str, download: bool) -> None:
    with pytest.raises(ModelNotFoundError, match="no folder|lacks"):
        hub.fetch_files(name, required=["config.json"], download=download)


def test_a_folder_named_by_path_says_what_it_lacks(tmp_path: Path) -> None:
    folder = fill(tmp_path / "mine", "config.json")
    with pytest.raises(
        ModelNotFoundError, match="mine lacks tokenizer.json and model.safetensors or pytorch_model.bin"
    ):
        hub.fetch_files(str(folder), required=["config.json", "tokenizer.json"], any_of=[WEIGHTS])


# --- folders of a host -----------------------------------------------------------------------------------------------


@pytest.mark.parametrize("below", ["maker--tiny", "tiny", "maker/tiny"])
def test_a_model_is_found_in_a_host_folder(tmp_path: Path, below: str) -> None:
    folder = fill(tmp_path / "second" / below, "config.json")
    assert hub.find_files(REPO, required=["config.json"]) is None
    with interrogator.model_folders([tmp_path / "not there", str(tmp_path / "second")]):
        assert hub.find_files(REPO, required=["config.json"]) == folder
        assert hub.fetch_files(REPO, required=["config.json"]) == folder
    assert hub.find_files(REPO, required=["config.json"]) is None


def test_host_folders_come_first_in_their_order_and_what_they_lack_is_found_where_it_was(tmp_path: Path) -> None:
    ours, in_cache = fill(hub.local_folder(REPO), "config.json"), cached(tmp_path, COMMIT, "extra.json")
    first, second = (fill(tmp_path / name / "maker--tiny", "config.json") for name in ("first", "second"))
    with interrogator.model_folders([tmp_path / "first", tmp_path / "second"]):
        assert hub.find_files(REPO, required=["config.json"]) == first
        assert hub.find_files(REPO, required=["extra.json"]) == in_cache
        (first / "config.json").unlink()
        assert hub.find_files(REPO, required=["config.json"]) == second
        (second / "config.json").unlink()
        assert hub.find_files(REPO, required=["config.json"]) == ours


def test_host_folders_go_for_hub_ids_only(tmp_path: Path) -> None:
    fill(tmp_path / "host" / "a" / "b" / "c", "config.json")
    with interrogator.model_folders([tmp_path / "host"]):
        for name in ("a/b/c", "../host/a/b/c", ""):
            assert hub.find_files(name, required=["config.json"]) is None


def test_the_inner_block_counts_and_a_block_ends_when_something_is_raised(tmp_path: Path) -> None:
    before = hub.local_folder(REPO)
    with interrogator.model_folders([], download_to=tmp_path / "outer"):
        with pytest.raises(ZeroDivisionError), interrogator.model_folders([], download_to=tmp_path / "inner"):
            assert hub.local_folder(REPO) == tmp_path / "inner" / "maker--tiny"
            raise ZeroDivisionError
        assert hub.local_folder(REPO) == tmp_path / "outer" / "maker--tiny"
    assert hub.local_folder(REPO) == before


def test_another_thread_keeps_its_own_folders(tmp_path: Path) -> None:
    seen: list[Path] = []
    with interrogator.model_folders([], download_to=tmp_path / "host"):
        thread = threading.Thread(target=lambda: seen.append(hub.local_folder(REPO)))
        thread.start()
        thread.join()
    assert seen == [hub.local_folder(REPO)]


def test_a_host_says_what_is_missing_where_it_belongs_and_how_to_get_it_in_its_own_words(tmp_path: Path) -> None:
    offer = "switch on `download` on this node"
    with (
        interrogator.model_folders([tmp_path / "other"], download_to=tmp_path / "host", offer=offer),
        pytest.raises(ModelNotFoundError) as caught,
    ):
        hub.fetch_files(REPO, required=["config.json"], size="1.9 GB")
    assert str(caught.value) == (
        f"maker/tiny is not on this machine: put config.json into {tmp_path / 'host' / 'maker--tiny'}, "
        "or switch on `download` on this node to download it (1.9 GB)"
    )
    fill(tmp_path / "host" / "maker--tiny", "config.json")
    with interrogator.model_folders([tmp_path / "other"], download_to=tmp_path / "host"):
        assert hub.find_files(REPO, required=["config.json"]) == tmp_path / "host" / "maker--tiny", (
            "the message keeps its word"
        )


def test_weights_and_tokenizers_of_encoders_are_found_in_host_folders_too(tmp_path: Path) -> None:
    weights = fill(tmp_path / "host" / "vit_large_patch14_clip_224.openai", "open_clip_model.safetensors")
    with interrogator.model_folders([tmp_path / "host"]):
        assert locate("encoder", "ViT-L-14/openai").parts.checkpoint == weights / "open_clip_model.safetensors"

    config = {"vision_cfg": {}, "text_cfg": {"hf_tokenizer_name": "maker/words", "hf_model_name": "maker/reader"}}
    model = fill(tmp_path / "host" / "maker" / "tiny", "open_clip_pytorch_model.bin")
    (model / "open_clip_config.json").write_text(json.dumps({"model_cfg": config}), encoding="utf-8")
    with interrogator.model_folders([tmp_path / "host"], download_to=tmp_path / "host"):
        with pytest.raises(ModelNotFoundError) as caught:
            locate("encoder", "hf-hub:maker/tiny")
        for name in ("maker--words", "maker--reader"):
            assert str(tmp_path / "host" / name) in str(caught.value)
        words = fill(tmp_path / "host" / "maker--words", "tokenizer.json")
        reader = fill(tmp_path / "host" / "reader", "config.json")
        sources = locate("encoder", "hf-hub:maker/tiny").parts
    assert (sources.tokenizer, sources.text_config) == (words, reader)
