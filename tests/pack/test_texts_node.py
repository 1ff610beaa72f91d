"""Prompt for Encoders: a text for each socket of ComfyUI's own encoding nodes, as the library writes it."""

from __future__ import annotations

import json
from typing import Any

import pytest
from PIL import Image

from .conftest import images
from .stand_ins import Listed, Pack, run
from .stand_ins.host import ExecutionBlocker
from .stand_ins.running import Ran

OUTPUTS = ("clip_l", "clip_g", "t5xxl", "text", "negative")
PHRASES = json.dumps(
    [
        {"text": "rim light", "bank": "lighting", "similarity": 0.3},
        {"text": "an (old) mosaic", "bank": "mediums", "similarity": 0.2},
    ]
)


def written(pack: Pack, **given: Any) -> dict[str, Any]:
    """The outputs of a run of Prompt for Encoders by name; None for one that keeps the nodes behind it from running."""
    links = {name: Listed([value]) if isinstance(value, str) and name != "image_model" else value
             for name, value in given.items()}  # fmt: skip
    ran: Ran = run(pack.nodes["InterrogatorTexts"], **links)
    values = [ran[place][0] for place in range(len(OUTPUTS))]
    return {name: None if isinstance(value, ExecutionBlocker) else value
            for name, value in zip(OUTPUTS, values, strict=True)}  # fmt: skip


KEYWORDS = r"a cat, rim light, an \(old\) mosaic"
SENTENCES = r"An \(old\) mosaic of a cat, with rim light."


@pytest.mark.parametrize(
    ("image_model", "expected"),
    [
        ("sd15", {"clip_l": KEYWORDS, "text": KEYWORDS}),
        ("sdxl", {"clip_l": KEYWORDS, "clip_g": KEYWORDS, "text": KEYWORDS}),
        ("sd3", {"clip_l": KEYWORDS, "clip_g": KEYWORDS, "t5xxl": SENTENCES}),
        ("flux", {"clip_l": KEYWORDS, "t5xxl": SENTENCES}),
        ("qwen", {"text": SENTENCES.replace("\\", "")}),
        ("pony", {"clip_l": "cat, smile", "clip_g": "cat, smile", "text": "cat, smile"}),
        ("illustrious", {"clip_l": "cat, smile", "clip_g": "cat, smile", "text": "cat, smile"}),
    ],
)
def test_only_the_sockets_of_the_image_model_are_filled(pack: Pack, image_model: str, expected: dict[str, str]) -> None:
    said = written(pack, image_model=image_model, caption="a cat", phrases=PHRASES, tags="cat, smile")
    assert said.pop("negative") == ""
    assert {name: text for name, text in said.items() if text is not None} == expected


def test_weights_quality_tags_and_brackets_are_as_the_switches_say(pack: Pack) -> None:
    given = {"caption": "a cat", "phrases": PHRASES}
    assert written(pack, weights=True, escape=False, **given)["clip_g"] == r"a cat, (rim light:1.1), an \(old\) mosaic"
    assert written(pack, escape=False, **given)["clip_g"] == "a cat, rim light, an (old) mosaic"
    tagged = written(pack, image_model="illustrious", quality_tags=True, tags=r"hatsune miku, hat \(cap\)")
    assert tagged["text"] == r"masterpiece, best quality, hatsune miku, hat \(cap\)"


def test_the_negative_prompt_fits_too_where_the_image_model_reads_one(pack: Pack) -> None:
    given = {"caption": "a cat", "negative": ", ".join(["blurry (photo)"] * 60)}
    assert written(pack, image_model="sdxl", **given)["negative"] == ", ".join([r"blurry \(photo\)"] * 18)
    assert written(pack, image_model="qwen", **given)["negative"].count("blurry (photo)") == 60
    assert written(pack, image_model="flux", **given)["negative"] == ""


@pytest.mark.models
def test_it_takes_what_interrogate_image_gives(pack: Pack, creatures: list[Image.Image]) -> None:
    """One image at a time, so ComfyUI calls it for each."""
    few = {"mode": "fast", "mode.max_phrases": 3}
    made = run(pack.nodes["InterrogatorImage"], image=images(creatures), preset="demo", **few, negative=True)
    texts = run(
        pack.nodes["InterrogatorTexts"], image_model="sd3", caption=Listed(made[1]), phrases=Listed(made[4]),
        negative=Listed(made[2]),
    )  # fmt: skip
    assert texts[0] == made[0] and all(map(str.startswith, made[2], texts[4]))
    for text, caption in zip(texts[2], made[1], strict=True):
        assert text.startswith(caption.capitalize()) and text.endswith(".")
