"""A family that is added as one module and one row works everywhere, with nothing else changed."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
import torch
from PIL import Image

import interrogator
from interrogator import catalog
from interrogator.catalog import Role
from interrogator.cli import main
from interrogator.cli import models as models_command
from interrogator.dataset import Models, Run, Settings
from interrogator.errors import ModelLoadError, ModelNotFoundError
from interrogator.registry import folder_of, load_model, on_disk

from . import added_family
from .added_family import COLORS

pytestmark = pytest.mark.models

ROLES: tuple[Role, ...] = ("captioner", "tagger", "encoder")


@pytest.fixture(autouse=True)
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A model of the family, whose rows the catalog has."""
    folder = added_family.write(tmp_path / "host" / "colors")
    monkeypatch.setenv("INTERROGATOR_HOME", str(tmp_path / "home"))
    monkeypatch.setattr(catalog, "FAMILIES", (*catalog.FAMILIES, added_family.FAMILY))
    monkeypatch.setattr(catalog, "MODELS", (*catalog.MODELS, *added_family.rows(folder)))
    # Modules that took the table when they were imported; a row in catalog.py would have been there by then.
    monkeypatch.setattr(models_command, "MODELS", catalog.MODELS, raising=False)
    return folder


@pytest.fixture
def pictures(tmp_path: Path) -> Path:
    folder = tmp_path / "pictures"
    folder.mkdir()
    for name, color in COLORS.items():
        Image.new("RGB", (20, 10), color).save(folder / f"{name}.png")
    return folder


def printed(capsys: pytest.CaptureFixture[str]) -> list[dict[str, Any]]:
    return [json.loads(line) for line in capsys.readouterr().out.splitlines()]


@pytest.mark.parametrize("role", ROLES)
@pytest.mark.parametrize("form", ["catalog", "folder"])
def test_it_loads_in_python_by_its_name_and_from_its_folder(folder: Path, role: Any, form: str) -> None:
    name = f"colors-{role}" if form == "catalog" else str(folder)
    load = {
        "captioner": interrogator.load_captioner,
        "tagger": interrogator.load_tagger,
        "encoder": interrogator.load_encoder,
    }[role]
    model = load(name, device="cpu", dtype="fp32")
    assert (model.name, model.family, model.origin.folder) == (name, "colors", folder)
    assert (model.device, model.dtype) == (torch.device("cpu"), torch.float32)
    assert model.module is not None and {each.dtype for each in model.module.parameters()} == {torch.float32}


def test_its_files_are_checked_like_those_of_any_family(folder: Path) -> None:
    (folder / "model.safetensors").unlink()
    with pytest.raises(ModelNotFoundError, match="lacks model.safetensors"):
        load_model("tagger", folder, device="cpu")
    with pytest.raises(ModelLoadError, match="holds a captioner and tagger and encoder, not a matcher"):
        load_model("matcher", folder, device="cpu")


def test_it_works_in_an_interrogator(pictures: Path, tmp_path: Path) -> None:
    ci = interrogator.load(
        "demo", captioner="colors-captioner", tagger="colors-tagger", encoder="colors-encoder",
        banks=[interrogator.PhraseBank.from_phrases("flavors", [f"{color} light" for color in COLORS])],
        device="cpu", dtype="fp32", cache_dir=tmp_path / "cache",
    )  # fmt: skip
    for color in COLORS:
        result = ci.interrogate(pictures / f"{color}.png", "fast", max_phrases=1)
        assert result.prompt == f"a {color} picture, {color} light"
        assert ci.interrogate(pictures / f"{color}.png", "tags").prompt == color
        assert ci.rank(pictures / f"{color}.png", top=1)[0].text == f"{color} light"


def test_prompt_uses_it(pictures: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    bank = tmp_path / "flavors.txt"
    bank.write_text("\n".join(f"{color} light" for color in COLORS), encoding="utf-8")
    arguments = [str(pictures / f"{color}.png") for color in COLORS]
    arguments += ["--captioner", "colors-captioner", "--encoder", "colors-encoder", "--bank", str(bank)]
    arguments += ["--preset", "demo", "--mode", "fast", "--max-phrases", "1", "--json", "--device", "cpu"]
    assert main(["prompt", *arguments, "--cache-dir", str(tmp_path / "cache")]) == 0
    assert [line["prompt"] for line in printed(capsys)] == [f"a {color} picture, {color} light" for color in COLORS]


def test_caption_uses_it(pictures: Path, folder: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    arguments = [str(pictures), "--captioner", "colors-captioner", "--encoder", str(folder), "--score"]
    arguments += ["--preset", "demo", "--device", "cpu", "--json", "--cache-dir", str(tmp_path / "cache")]
    assert main(["caption", *arguments]) == 0
    (summary,) = printed(capsys)
    assert summary["done"] == len(COLORS)
    run = Run.reopened(summary["run"])
    for record in run.parts.records(run.parts.done(run.plan)):
        color = Path(record.key).stem
        assert (pictures / f"{color}.txt").read_text(encoding="utf-8") == f"a {color} picture\n"
        assert record.scores["clip"] > 0.5


def test_a_dataset_run_uses_its_tagger(pictures: Path, tmp_path: Path) -> None:
    settings = Settings(preset="demo", mode="tags", tagger="colors-tagger")
    run = Run([pictures], settings)
    run.work(lambda: Models.load(settings, device="cpu", cache_dir=tmp_path / "cache"), lambda text: len(text.split()))
    for color in COLORS:
        assert (pictures / f"{color}.txt").read_text(encoding="utf-8") == f"{color}\n"


def test_models_lists_it(folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["models", "list", "--json"]) == 0
    listed = {line["model"]: line for line in printed(capsys)}
    for role in ROLES:
        line = listed[f"colors-{role}"]
        assert (line["role"], line["family"], line["folder"]) == (role, "colors", str(folder))


def test_a_host_finds_it_in_its_folders(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    for row in added_family.rows(folder):
        assert folder_of(row) == folder
    monkeypatch.setattr(catalog, "MODELS", ())  # a folder that the catalog names is not listed twice
    for role in ROLES:
        assert on_disk(role, [folder.parent]) == {"host/colors": folder}
