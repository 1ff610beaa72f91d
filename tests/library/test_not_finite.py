"""NaN from a model is one error that says what to do, in every mode; files that do not fit together are refused."""

from __future__ import annotations

import json
import shutil
from pathlib import Path

import pytest
import torch
from safetensors.torch import load_file, save_file

import interrogator
from interrogator import demo
from interrogator.cli.terminal import put_json
from interrogator.errors import CaptionError, ModelError, ModelLoadError

pytestmark = pytest.mark.models


@pytest.fixture
def ci(tmp_path: Path) -> interrogator.Interrogator:
    return interrogator.load("demo", cache_dir=tmp_path / "cache")


@pytest.fixture(scope="module")
def picture():
    return interrogator.demo.creature(3)[0]


def spoil(module: torch.nn.Module) -> None:
    with torch.no_grad():
        next(module.parameters()).fill_(float("nan"))


@pytest.mark.parametrize("mode", ["classic", "fast", "best", "negative", "precise", "caption"])
def test_nan_of_an_image_is_one_error_in_every_mode(ci, picture, mode):
    ci.table()
    spoil(ci.encoder.module.visual)
    with pytest.raises(CaptionError, match="computes NaN for an image; use dtype fp32"):
        ci.interrogate(picture, mode=mode, caption="a cat")
    with pytest.raises(CaptionError, match="computes NaN"):
        ci.rank(picture)
    with pytest.raises(CaptionError, match="computes NaN"):
        ci.similarity(picture, "a cat")


def test_nan_of_a_text_is_an_error(ci, picture):
    ci.encoder.identity()
    with torch.no_grad():
        ci.encoder.module.ln_final.weight.fill_(float("nan"))
    with pytest.raises(ModelError, match="computes NaN for a text; use dtype fp32"):
        ci.rank(picture)


def test_json_has_no_nan(capsys):
    put_json({"a": float("nan"), "b": [1.5, float("inf")], "c": {"d": float("-inf")}})
    assert json.loads(capsys.readouterr().out) == {"a": None, "b": [1.5, None], "c": {"d": None}}


def copied(role: str, tmp_path: Path) -> Path:
    return Path(shutil.copytree(Path(demo.__file__).parent / role, tmp_path / role))


def test_a_vocabulary_cut_short_is_refused(tmp_path):
    folder = copied("captioner", tmp_path)
    vocabulary = next(path for path in folder.iterdir() if "vocab" in path.name)
    lines = vocabulary.read_text(encoding="utf-8").splitlines()
    vocabulary.write_text("\n".join(lines[: len(lines) // 2]) + "\n", encoding="utf-8")
    (folder / "tokenizer.json").unlink(missing_ok=True)
    with pytest.raises(ModelLoadError, match="cut short"):
        interrogator.load_captioner(folder)


@pytest.mark.parametrize("name", ["positional_embedding", "visual.positional_embedding"])
def test_a_halved_position_table_is_refused(tmp_path, name):
    folder = copied("encoder", tmp_path)
    path = folder / "open_clip_model.safetensors"
    tensors = {key: value.clone() for key, value in load_file(path).items()}
    side = round((len(tensors[name]) - 1) ** 0.5)
    kept = (side // 2) ** 2 + 1 if name.startswith("visual") else len(tensors[name]) // 2
    tensors[name] = tensors[name][:kept].clone()
    save_file(tensors, path, metadata={"format": "pt"})
    with pytest.raises(ModelLoadError, match="fetch it again|does not contain the weights"):
        interrogator.load_encoder(folder)
