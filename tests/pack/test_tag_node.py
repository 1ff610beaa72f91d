"""Tag Image: which tags of a tagger come out, in which form, one entry an image."""

from __future__ import annotations

import json
from typing import Any

import pytest
import torch
from PIL import Image

from tests.library.bare_models import BareBooruTagger, BareTagger

from .conftest import images
from .stand_ins import Listed, Pack, run
from .stand_ins.running import Ran

pytestmark = pytest.mark.models

FULL, HALF, NOTHING = (Image.new("RGB", (8, 8), (red, 0, 0)) for red in (255, 128, 0))


def tagged(pack: Pack, *pictures: Image.Image, tagger: Any = None, **given: Any) -> Ran:
    """A run of Tag Image."""
    hosted = pack.module("nodes.models").hosted(tagger or BareBooruTagger())
    return run(pack.nodes["InterrogatorTag"], image=images(pictures), tagger=hosted, **given)


def test_tags_hold_by_the_models_own_thresholds_and_read_as_in_a_prompt(pack: Pack) -> None:
    ran = tagged(pack, FULL, HALF)
    assert ran[0] == [
        r"hatsune miku, kagamine rin, vocaloid, nintendo, 1girl, long hair, o_o, smile, hat \(cap\)",
        "1girl, long hair, o_o, smile",
    ]


def test_tags_come_as_a_list_and_as_json_too(pack: Pack) -> None:
    ran = tagged(pack, FULL, HALF)
    assert ran[1] == [tag for text in ran[0] for tag in text.split(", ")]
    first, second = (json.loads(text) for text in ran[2])
    assert {"text": "hat (cap)", "probability": pytest.approx(0.6), "category": "general"} in first
    assert [entry["text"] for entry in first][-2:] == ["sensitive", "best quality"]  # rating and quality are last
    assert {entry["category"] for entry in first} == {"character", "copyright", "general", "rating", "quality"}
    assert [entry["text"] for entry in second if entry["category"] == "rating"] == ["sensitive"]


def test_the_box_and_the_picture_show_probabilities(pack: Pack) -> None:
    ran = tagged(pack, FULL, HALF)
    shown = ran.ui["interrogator"]
    assert [entry["text"] for entry in shown] == ran[0] and all(entry["full"] == 1.0 for entry in shown)
    bars = shown[0]["phrases"]
    assert [bar["similarity"] for bar in bars] == sorted((bar["similarity"] for bar in bars), reverse=True)
    assert {"text": "hatsune miku", "bank": "character", "similarity": 0.95} in bars
    assert [len(entry["phrases"]) for entry in shown] == [len(json.loads(text)) for text in ran[2]]
    full, half = ran[3]
    assert full.shape[0] == 1 and full.dtype == torch.float32 and full.shape[1] > half.shape[1]
    blue = half[0, :, :, 2] > half[0, :, :, 0] + 0.3  # [H, W]: where a bar is
    widest = int(blue.sum(dim=1).max())
    assert 0.45 < widest / half.shape[2] < 0.55, "a probability of a half does not fill half the width"


@pytest.mark.parametrize(
    ("given", "expected"),
    [
        ({"threshold": 0.75, "character_threshold": 1.0}, "1girl, long hair, o_o"),
        ({"threshold": 0.99, "character_threshold": 0.92}, "hatsune miku, vocaloid, 1girl"),
        ({"max_tags": 3}, "hatsune miku, vocaloid, 1girl"),
        ({"blocked": "*_hair\nsmile, *miku", "max_tags": 4}, "kagamine rin, vocaloid, 1girl, o_o"),
        ({"threshold": 0.55, "character_threshold": 1.0, "escape": False}, "1girl, long hair, o_o, smile, hat (cap)"),
        ({"threshold": 0.85, "character_threshold": 1.0, "keep_underscores": True}, "1girl, long_hair"),
    ],
)
def test_options_select_tags(pack: Pack, given: dict[str, Any], expected: str) -> None:
    assert tagged(pack, FULL, **given)[0] == [expected]


def test_mcut_finds_the_thresholds_in_the_image(pack: Pack) -> None:
    tag = pack.module("interrogator.models").Tag
    tagger = BareTagger()
    tagger.tag = lambda prepared, progress=None: [  # type: ignore[method-assign]
        [tag("cat", 0.3), tag("hat", 0.28), tag("dog", 0.05)] for _ in prepared
    ]
    assert tagged(pack, FULL, tagger=tagger)[0] == [""]
    assert tagged(pack, FULL, tagger=tagger, mcut=True)[0] == ["cat, hat"]


def test_an_image_without_a_tag_says_so_and_the_others_have_theirs(pack: Pack) -> None:
    ran = tagged(pack, NOTHING, HALF, threshold=0.3)
    assert ran[0][0] == "" and ran[0][1]
    assert [entry["remarks"] for entry in ran.ui["interrogator"]] == [("no_tags",), ()]


def test_batches_lists_and_many_images_keep_their_order(pack: Pack) -> None:
    tagger = BareTagger()
    one = tagged(pack, FULL, tagger=tagger)
    assert one[0] == ["red"]
    pictures = [Image.new("RGB", (8, 8), (255, 0, 0) if number % 3 else (0, 0, 255)) for number in range(40)]
    expected = ["red" if number % 3 else "blue" for number in range(40)]
    assert tagged(pack, *pictures, tagger=tagger)[0] == expected
    apart = Listed([batch for picture in pictures for batch in images([picture])])
    hosted = pack.module("nodes.models").hosted(tagger)
    assert run(pack.nodes["InterrogatorTag"], image=apart, tagger=hosted)[0] == expected


def test_only_what_holds_is_kept_of_a_large_vocabulary(pack: Pack, monkeypatch: pytest.MonkeyPatch) -> None:
    """Ten thousand tags of a thousand images do not fit into memory at once."""
    tagger, sizes = BareTagger(), []
    tag = tagger.tag

    def counted(prepared: Any, progress: Any = None) -> Any:
        sizes.append(len(prepared))
        return tag(prepared, progress)

    tagger.tag = counted  # type: ignore[method-assign]
    tagged(pack, *[FULL] * 40, tagger=tagger)
    assert sum(sizes) == 40 and max(sizes) <= 16
    shown = pack.comfyui.progress.shown
    assert shown[-1] == (40, 40) and all(done <= total == 40 for done, total in shown[-30:])


def test_tags_go_into_a_question(pack: Pack) -> None:
    from tests.library.bare_models import BareAnswerer

    captioner = pack.module("nodes.models").hosted(BareAnswerer())
    pictures = [FULL, HALF] * 10  # more than are read at a time
    tags = Listed(tagged(pack, *pictures, max_tags=1)[0])
    node = pack.nodes["InterrogatorCaption"]
    ran = run(node, image=images(pictures), captioner=captioner, ask="Is it {tags}?", tags=tags)
    assert ran[0] == [f"a red thing (Is it {text}?)" for text in tags]
    one = run(node, image=images(pictures), captioner=captioner, ask="Is it {tags}?", tags=Listed(["a cat"]))
    assert set(one[0]) == {"a red thing (Is it a cat?)"}
