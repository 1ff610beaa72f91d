"""Answers that repeat themselves: the same in a batch, in which others go on, as alone."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
from PIL import Image

from interrogator.captioners import CaptionOptions
from interrogator.registry import load_captioner

from .tiny_chat import CHAT_WRITERS

pytestmark = [pytest.mark.models, pytest.mark.usefixtures("one_thread")]

COLORS = [(200, 10, 20), (20, 180, 30), (10, 40, 220), (250, 240, 20), (128, 128, 128), (0, 0, 0)]


@pytest.mark.parametrize("name", ["git", "blip-2/t5", "kosmos-2"])
def test_an_answer_that_repeats_itself_is_the_same_in_a_batch(name: str, tmp_path: Path) -> None:
    model: Any = load_captioner(CHAT_WRITERS[name](tmp_path / "model"), device="cpu", dtype="fp32")
    images = [Image.new("RGB", (50 + 20 * index, 90 - 7 * index), color) for index, color in enumerate(COLORS)]
    for image, color in zip(images, reversed(COLORS), strict=True):
        image.paste(color, (10, 10, 30, 40))
    prepared = [model.prepare(image) for image in images]
    options = CaptionOptions(max_new_tokens=24, strip=())
    alone = [model.answer([one], options)[0] for one in prepared]
    assert any("looped" in answer.remarks for answer in alone)
    assert model.answer(prepared, options) == alone
