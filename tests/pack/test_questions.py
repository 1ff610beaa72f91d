"""Caption Image with captioners that follow questions: what they are asked, and what they remark."""

from __future__ import annotations

from typing import Any

import pytest
from PIL import Image

from interrogator.models import Answer
from tests.library.bare_models import BareAnswerer, BareCaptioner, BareSampler

from .conftest import Demo, images
from .stand_ins import Listed, Pack, run
from .stand_ins.running import Ran

pytestmark = pytest.mark.models

RED, BLUE = Image.new("RGB", (8, 8), (250, 0, 0)), Image.new("RGB", (8, 8), (0, 0, 250))


def captioned(pack: Pack, captioner: Any, *pictures: Image.Image, **given: Any) -> Ran:
    hosted = pack.module("nodes.models").hosted(captioner)
    return run(pack.nodes["InterrogatorCaption"], image=images(pictures or (RED, BLUE)), captioner=hosted, **given)


def asked(pack: Pack, **given: Any) -> list[str]:
    """What a captioner is asked of two images."""
    texts = captioned(pack, BareAnswerer(), **given)[0]
    return [
        text.removeprefix(f"a {color} thing").strip(" ()") for text, color in zip(texts, ("red", "blue"), strict=True)
    ]


def test_the_question_is_the_captioners_own_unless_one_is_given(pack: Pack) -> None:
    prompts = pack.module("interrogator.captioners").NAMED_PROMPTS
    assert asked(pack) == ["", ""]
    assert asked(pack, ask="  What is this? ") == ["What is this?"] * 2
    assert asked(pack, named_prompt="short") == [prompts["short"]] * 2
    assert asked(pack, named_prompt="short", ask="<MORE_DETAILED_CAPTION>") == ["<MORE_DETAILED_CAPTION>"] * 2
    assert asked(pack, ask="What is this?", system="Be brief.") == ["Be brief. What is this?"] * 2


def test_every_named_prompt_is_offered(pack: Pack) -> None:
    (combo,) = [piece for piece in pack.nodes["InterrogatorCaption"].GET_SCHEMA().inputs if piece.id == "named_prompt"]
    assert combo.options == ["none", *pack.module("interrogator.captioners").NAMED_PROMPTS]


def test_trigger_and_tags_fill_the_question(pack: Pack) -> None:
    assert all("sks" in text for text in asked(pack, named_prompt="training", trigger=" sks "))
    given = {"named_prompt": "tag-grounded", "tags": Listed(["red, round", "blue, flat"])}
    assert [text.split("image: ")[1].split(". ")[0] for text in asked(pack, **given)] == ["red, round", "blue, flat"]


@pytest.mark.parametrize(
    ("given", "says"),
    [
        ({"named_prompt": "training"}, "needs a trigger word: type one"),
        ({"ask": "Where is {trigger}?"}, "needs a trigger word: type one"),
        ({"named_prompt": "tag-grounded"}, "needs tags: connect Tag Image"),
        ({"ask": "{tags}?", "tags": Listed(["a", "b", "c"])}, "Got 3 texts of tags for 2 images"),
        ({"ask": "detaild"}, "unknown named prompt 'detaild'"),
        ({"ask": "the moon"}, "asks for the moon"),
    ],
)
def test_a_question_that_cannot_be_asked_is_refused(pack: Pack, given: dict[str, Any], says: str) -> None:
    with pytest.raises(Exception, match=says):
        captioned(pack, BareAnswerer(), **given)


def test_a_captioner_that_follows_no_question_says_so(pack: Pack, demo: Demo) -> None:
    for captioner in (BareCaptioner(), demo.captioner[0].model):
        with pytest.raises(pack.library.RequestError, match="cannot do questions"):
            captioned(pack, captioner, ask="What is this?")
        with pytest.raises(pack.library.RequestError, match="cannot do a system prompt"):
            captioned(pack, captioner, system="Be brief.")


def test_remarks_are_shown_in_the_box_with_their_image(pack: Pack) -> None:
    captioner = BareAnswerer({"red": Answer("a red thing", ("cut", "looped"))})
    ran = captioned(pack, captioner)
    assert [tuple(entry["remarks"]) for entry in ran.ui["interrogator"]] == [("cut", "looped"), ()]
    hosted = pack.module("nodes.models").hosted(captioner)
    ran = run(
        pack.nodes["InterrogatorImage"], image=images([RED, BLUE]), preset="demo", mode="caption", captioner=hosted
    )
    assert [tuple(entry["remarks"]) for entry in ran.ui["interrogator"]] == [("cut", "looped"), ()]


def test_an_image_without_a_caption_is_named_with_the_reason(pack: Pack) -> None:
    captioner = BareAnswerer({"blue": Answer("", error="the server refused this picture")})
    with pytest.raises(Exception, match="^image 2 of 2: the server refused this picture$"):
        captioned(pack, captioner)
    with pytest.raises(Exception, match="^the server refused this picture$"):
        captioned(pack, captioner, BLUE)


def test_a_length_of_nothing_is_the_captioners_own(pack: Pack, demo: Demo, creatures: list[Image.Image]) -> None:
    node = pack.nodes["InterrogatorCaption"]
    given: dict[str, Any] = {"image": images(creatures), "captioner": demo.captioner}
    own = run(node, **given)[0]
    assert run(node, max_length=32, **given)[0] == own  # BLIP's own
    assert run(node, max_length=5, **given)[0] != own


def test_options_reach_the_captioner(pack: Pack) -> None:
    found: list[Any] = []

    class Asked(BareSampler):
        abilities = BareSampler.abilities | {"system prompt"}

        def caption(self, prepared: Any, options: Any = None, progress: Any = None) -> list[str]:
            found.append(options)
            return super().caption(prepared, options, progress)

    captioned(pack, Asked(), ask="Why?", temperature=0.5, seed=7, max_length=99, system="Be brief.")
    (options,) = found
    assert (options.ask, options.temperature, options.seed, options.max_new_tokens) == ("Why?", 0.5, 7, 99)
    assert options.system == "Be brief."
    captioned(pack, Asked())
    assert found[1] == pack.library.CaptionOptions()
