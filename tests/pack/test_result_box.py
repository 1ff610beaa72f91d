"""What nodes tell the front end of a run: results with limits, files for App mode, and which image each is of."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
from PIL import Image

from .conftest import Demo, images
from .stand_ins import ComfyUI, Listed, Pack, run

pytestmark = pytest.mark.models

LINES = "\n".join(f"a creature of kind {number}" for number in range(100))


def temporary(comfyui: ComfyUI, name: str) -> Path:
    return comfyui.models.parent / "temp" / "interrogator" / name


def ranked(pack: Pack, demo: Demo, creatures: list[Image.Image], top: int) -> Any:
    return run(pack.nodes["InterrogatorRank"], image=images(creatures), encoder=demo.encoder, lines=LINES, top=top)


def test_more_bars_than_the_limit_are_counted_in_the_box_and_in_the_picture(
    pack: Pack, demo: Demo, creatures: list[Image.Image]
) -> None:
    most = pack.module("nodes.bars").MOST
    few, many, more = (ranked(pack, demo, creatures[:1], top) for top in (most, most + 1, 100))
    assert [len(json.loads(ran[1][0])) for ran in (few, many, more)] == [most, most + 1, 100]
    for ran, count in ((few, most), (many, most + 1), (more, 100)):
        (result,) = ran.ui["interrogator"]
        assert len(result["phrases"]) == most and result["phrase_count"] == count
    heights = [ran[2][0].shape[1] for ran in (few, many, more)]
    assert heights[0] < heights[1] == heights[2] < 2400


def test_texts_are_files_too_which_app_mode_shows(
    comfyui: ComfyUI, pack: Pack, demo: Demo, creatures: list[Image.Image]
) -> None:
    node = pack.nodes["InterrogatorImage"]
    ran = run(node, image=images(creatures), preset="demo", mode="fast", negative=True)
    files = ran.ui["files"]
    assert {(file["type"], file["subfolder"]) for file in files} == {("temp", "interrogator")}
    texts = [temporary(comfyui, file["filename"]).read_text(encoding="utf-8") for file in files]
    assert texts == [text for pair in zip(ran[0], ran[2], strict=True) for text in pair]
    assert all(file["filename"].endswith(".txt") for file in files)


def test_each_of_several_results_shows_its_image(
    comfyui: ComfyUI, pack: Pack, demo: Demo, creatures: list[Image.Image]
) -> None:
    names = [result["thumbnail"] for result in ranked(pack, demo, creatures, 3).ui["interrogator"]]
    assert len(set(names)) == len(creatures)
    for name in names:
        with Image.open(temporary(comfyui, name)) as picture:
            assert max(picture.size) <= 96
    (alone,) = ranked(pack, demo, creatures[:1], 3).ui["interrogator"]
    assert alone["thumbnail"] == ""


def test_a_caption_that_is_longer_than_the_context_is_said(pack: Pack, creatures: list[Image.Image]) -> None:
    node, image = pack.nodes["InterrogatorImage"], images(creatures[:1])
    long = Listed([" ".join(f"word{number}" for number in range(500))])
    for mode in ("fast", "best", "classic", "precise"):
        (result,) = run(node, image=image, preset="demo", mode=mode, caption=long).ui["interrogator"]
        assert "shortened" in result["remarks"] and result["caption"] == long[0], mode
    for mode, caption in (("fast", Listed(["a red dragon"])), ("negative", long), ("caption", long)):
        (result,) = run(node, image=image, preset="demo", mode=mode, caption=caption).ui["interrogator"]
        assert "shortened" not in result["remarks"], mode


def test_phrases_that_the_image_lacks_are_marked(pack: Pack, demo: Demo, creatures: list[Image.Image]) -> None:
    node = pack.nodes["InterrogatorNegative"]
    (result,) = run(node, image=images(creatures[:1]), encoder=demo.encoder, banks=demo.banks).ui["interrogator"]
    assert result["is_negative"]
    node = pack.nodes["InterrogatorImage"]
    (result,) = run(node, image=images(creatures[:1]), preset="demo", mode="fast").ui["interrogator"]
    assert not result["is_negative"]
