"""Folders of models with damaged configurations and tokenizers: a sentence, bounded before anything is built."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from interrogator import ModelLoadError, load_captioner, load_encoder

from .damaged_folders import fuzz
from .tiny_checkpoints import write_blip, write_open_clip

pytestmark = [pytest.mark.models, pytest.mark.filterwarnings("ignore")]


def test_a_million_layers_are_refused_before_they_are_built(tmp_path: Path) -> None:
    folder = write_blip(tmp_path / "blip")
    config = json.loads((folder / "config.json").read_text())
    config["text_config"]["num_hidden_layers"] = 1_000_000
    (folder / "config.json").write_text(json.dumps(config))
    with pytest.raises(ModelLoadError, match="num_hidden_layers is 1000000, and no model has more than"):
        load_captioner(folder, device="cpu")

    folder = write_open_clip(tmp_path / "clip")
    config = json.loads((folder / "open_clip_config.json").read_text())
    config["model_cfg"]["vision_cfg"]["layers"] = 10**7
    (folder / "open_clip_config.json").write_text(json.dumps(config))
    with pytest.raises(ModelLoadError, match="layers is 10000000"):
        load_encoder(folder, device="cpu")


def test_damaged_folders_end_in_a_sentence(tmp_path: Path) -> None:
    assert fuzz(66, 16, tmp_path) == []
