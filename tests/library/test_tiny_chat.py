"""The tiny chat checkpoints are what tests take them for: whole, small, in both layouts, with captions to compare."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
import torch
from PIL import Image

from .tiny_chat import CHAT_WRITERS, known_here

pytestmark = [pytest.mark.models, pytest.mark.usefixtures("one_thread")]

COLORS = [(200, 10, 20), (20, 180, 30), (10, 40, 220), (250, 240, 20), (128, 128, 128), (0, 0, 0)]
TEXT = "a picture of"
UNTEMPLATED = {
    "git": None,
    "paligemma": f"<image>{TEXT}",
    "florence2": "<CAPTION>",
    "kosmos-2": "<grounding>An image of",
}
OLD = {"git", "blip-2", "blip-2/t5", "instructblip", "qwen2_vl", "qwen2_5_vl", "qwen3_vl", "qwen3_5", "kosmos-2"}
"""Whose repositories of transformers 4 have no `processor_config.json`."""


@pytest.fixture(params=CHAT_WRITERS)
def name(request: pytest.FixtureRequest) -> str:
    if not known_here(request.param):
        pytest.skip("needs a newer transformers")
    if request.param == "smolvlm":
        pytest.importorskip("num2words", reason="transformers wants it for SmolVLM")
    chosen: str = request.param
    return chosen


def load(folder: Path) -> tuple[Any, Any]:
    """A model, of which every tensor was in the files, and its processor."""
    from transformers import AutoModelForImageTextToText, AutoProcessor

    processor = AutoProcessor.from_pretrained(folder, local_files_only=True)
    model, info = AutoModelForImageTextToText.from_pretrained(folder, local_files_only=True, output_loading_info=True)
    assert not info["missing_keys"] and not info["unexpected_keys"] and not info["mismatched_keys"]
    if getattr(processor, "num_query_tokens", 0) is None:
        processor.num_query_tokens = model.config.num_query_tokens
    processor.tokenizer.padding_side = "left"
    return model, processor


def question(name: str, processor: Any) -> str | None:
    """What stands in front of the answer."""
    template = getattr(processor, "chat_template", None) or processor.tokenizer.chat_template
    if template is None:
        return UNTEMPLATED.get(name, TEXT)
    parts = [{"type": "image"}, {"type": "text", "text": TEXT}]
    turns = [{"role": "user", "content": TEXT if name == "llava/joycaption" else parts}]
    text: str = processor.apply_chat_template(turns, chat_template=template, add_generation_prompt=True, tokenize=False)
    return text


def write_captions(name: str, model: Any, processor: Any, images: list[Image.Image]) -> list[list[int]]:
    """The tokens that a model writes about each image, up to the end."""
    text = question(name, processor)
    nested = bool(getattr(processor, "chat_template", None) or processor.tokenizer.chat_template)
    given: dict[str, Any] = {"images": [[image] for image in images] if nested else images, "return_tensors": "pt"}
    if text is not None:
        given |= {"text": [text] * len(images), "padding": True}
    inputs = processor(**given)
    inputs.pop("labels", None)
    with torch.inference_mode():
        written = model.generate(**inputs, do_sample=False, num_beams=1, max_new_tokens=48)
    asked = inputs.get("input_ids")
    if asked is not None and torch.equal(written[:, : asked.shape[1]], asked):
        written = written[:, asked.shape[1] :]
    ends = model.generation_config.eos_token_id
    ends = set(ends if isinstance(ends, list) else [ends])
    return [until(row, ends) for row in written.tolist()]


def until(tokens: list[int], ends: set[int]) -> list[int]:
    """Tokens up to the end, without what stands before the first word."""
    first = 1 if tokens[0] in ends or len(tokens) > 48 else 0
    stop = next((at for at in range(first, len(tokens)) if tokens[at] in ends), len(tokens))
    return tokens[first:stop]


def test_both_layouts_load_whole_and_write_the_same_captions(name: str, tmp_path: Path) -> None:
    images = [Image.new("RGB", (40 + 10 * index, 60 - 4 * index), color) for index, color in enumerate(COLORS)]
    captions = []
    for layout in ("5", "4"):
        folder = CHAT_WRITERS[name](tmp_path / layout, layout=layout)
        assert json.loads((folder / "config.json").read_text("utf-8"))["model_type"] == name.split("/")[0]
        assert sum(path.stat().st_size for path in folder.rglob("*") if path.is_file()) < 1_000_000
        captions.append(write_captions(name, *load(folder), images))
    new, old = captions
    assert new == old
    assert len({tuple(caption) for caption in new}) == len(images), "each colour has a caption of its own"
    assert min(map(len, new)) > 1 and min(map(len, new)) < 40, "of several words, and some end"
    assert (tmp_path / "4" / "processor_config.json").exists() == (name not in OLD)
    assert (tmp_path / "4" / "preprocessor_config.json").exists()
    assert not (tmp_path / "4" / "chat_template.jinja").exists()


def test_weights_come_in_shards_where_asked_for(tmp_path: Path) -> None:
    folder = CHAT_WRITERS["llava"](tmp_path / "shards", shards=True)
    index = json.loads((folder / "model.safetensors.index.json").read_text("utf-8"))
    assert len(set(index["weight_map"].values())) >= 3
    whole, _ = load(CHAT_WRITERS["llava"](tmp_path / "whole"))
    parts, _ = load(folder)
    for (_, one), (_, other) in zip(whole.named_parameters(), parts.named_parameters(), strict=True):
        torch.testing.assert_close(one, other, rtol=0, atol=0)


def test_a_seed_makes_a_model(tmp_path: Path) -> None:
    first, again, other = (
        load(CHAT_WRITERS["git"](tmp_path / f"{at}", seed=seed))[0] for at, seed in enumerate((1, 1, 2))
    )
    name = "git.embeddings.word_embeddings.weight"
    assert torch.equal(first.get_parameter(name), again.get_parameter(name))
    assert not torch.equal(first.get_parameter(name), other.get_parameter(name))
