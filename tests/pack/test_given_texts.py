"""Texts that come from other nodes: tidied where a prompt begins with them, and refused where they are none."""

from __future__ import annotations

from typing import Any

import pytest
from PIL import Image

from .conftest import Demo, images
from .stand_ins import Listed, Pack, run

pytestmark = pytest.mark.models

UNTIDY = "  a red dragon,\n\n on  a rock ,, at night,\n"
TIDY = "a red dragon, on a rock, at night"


def nodes_with_a_text(demo: Demo, text: Any) -> dict[str, dict[str, Any]]:
    """By node what it needs beside an image, with a text from another node."""
    given = Listed([text])
    parts = {"encoder": demo.encoder, "banks": demo.banks}
    return {
        "InterrogatorImage": {"preset": "demo", "mode": "fast", "caption": given},
        "InterrogatorAdvanced": {**parts, "mode": "fast", "caption": given},
        "InterrogatorCheck": {"encoder": demo.encoder, "caption": given},
        "InterrogatorSimilarity": {"encoder": demo.encoder, "text": given},
        "InterrogatorCaption": {"captioner": demo.captioner, "tags": given},
        "InterrogatorAssemble": {"template": "{caption}", "caption": given},
        "InterrogatorTexts": {"image_model": "sdxl", "caption": given},
    }


NODES = tuple(nodes_with_a_text(Demo(Listed(), Listed(), Listed()), ""))


@pytest.mark.parametrize(("text", "word"), [(["a", "b"], "a list"), (3, "of type int")])
@pytest.mark.parametrize("node", NODES)
def test_what_is_no_text_is_a_sentence(
    pack: Pack, demo: Demo, creatures: list[Image.Image], node: str, text: Any, word: str
) -> None:
    image = {} if node in ("InterrogatorAssemble", "InterrogatorTexts") else {"image": images(creatures[:1])}
    with pytest.raises(ValueError, match=f"got no text but something {word}: connect an output with one text"):
        run(pack.nodes[node], **image, **nodes_with_a_text(demo, text)[node])


@pytest.mark.parametrize("node", ["InterrogatorImage", "InterrogatorAdvanced"])
def test_a_caption_is_tidied(pack: Pack, demo: Demo, creatures: list[Image.Image], node: str) -> None:
    ran = run(pack.nodes[node], image=images(creatures[:1]), **nodes_with_a_text(demo, UNTIDY)[node])
    assert ran[1] == [TIDY] and ran[0][0].startswith(TIDY)


def test_a_caption_in_a_template_is_tidied(pack: Pack, demo: Demo) -> None:
    assert run(pack.nodes["InterrogatorAssemble"], template="{caption}", caption=Listed([UNTIDY]))[0] == [TIDY]


@pytest.mark.parametrize("escape", [True, False])
def test_of_all_brackets_only_parentheses_are_escaped(
    pack: Pack, demo: Demo, creatures: list[Image.Image], escape: bool
) -> None:
    """ComfyUI takes no other backslash off again."""
    caption = "a (small) [old] {red} cat"
    expected = r"a \(small\) [old] {red} cat" if escape else caption
    for node in ("InterrogatorImage", "InterrogatorAdvanced"):
        given = {**nodes_with_a_text(demo, caption)[node], "mode": "fast", "escape": escape}
        assert run(pack.nodes[node], image=images(creatures[:1]), **given)[0][0].startswith(expected)
    given = nodes_with_a_text(demo, caption)["InterrogatorTexts"]
    negative = Listed(["a [red] dog (old)"])
    ran = run(pack.nodes["InterrogatorTexts"], **given, negative=negative, escape=escape)
    assert ran[1] == [expected]
    assert ran[4] == [r"a [red] dog \(old\)" if escape else negative[0]]
