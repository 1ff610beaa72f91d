"""Every node on the demo's models and pictures: one entry an image, and what the library gives."""

from __future__ import annotations

import json
from collections.abc import Callable, Sequence
from typing import Any

import numpy as np
import pytest
import torch
from PIL import Image

from .conftest import Demo, batch, demo_banks, images
from .stand_ins import Listed, Pack, run
from .stand_ins.host import ExecutionBlocker

pytestmark = pytest.mark.models

Says = Callable[..., list[Any]]

MODES = ("best", "fast", "classic", "caption", "negative")
COUNTS = (1, 3)


def of_image(pack: Pack, image: Listed, **given: Any) -> Any:
    """A run of Interrogate Image with the demo preset."""
    return run(pack.nodes["InterrogatorImage"], image=image, **{"preset": "demo", **given})


def of_advanced(pack: Pack, demo: Demo, image: Listed, **given: Any) -> Any:
    """A run of Interrogate (advanced) with the demo's parts, less those given as None."""
    parts = {"encoder": demo.encoder, "banks": demo.banks, "captioner": demo.captioner, **given}
    connected = {name: value for name, value in parts.items() if value is not None}
    return run(pack.nodes["InterrogatorAdvanced"], image=image, **connected)


def prompts(results: Sequence[Any]) -> list[str]:
    return [result.escaped_prompt for result in results]


def assert_phrases(entries: Sequence[dict[str, Any]], expected: Sequence[Any]) -> None:
    """The same phrases of the same banks in the same order; similarities differ a little with the size of a batch."""
    assert [(entry["text"], entry["bank"]) for entry in entries] == [(row.text, row.bank) for row in expected]
    assert [entry["similarity"] for entry in entries] == pytest.approx([row.similarity for row in expected], abs=1e-5)


@pytest.mark.parametrize("count", COUNTS)
@pytest.mark.parametrize("mode", MODES)
def test_interrogate_image_gives_what_the_library_gives(
    pack: Pack, library_says: Says, creatures: list[Image.Image], mode: str, count: int
) -> None:
    expected = library_says(mode, count)
    ran = of_image(pack, images(creatures[:count]), mode=mode)
    assert ran[0] == prompts(expected) and all(ran[0])
    assert ran[1] == [result.caption for result in expected]
    assert [type(value) for value in ran[2]] == [ExecutionBlocker]
    shown = ran.ui["interrogator"]
    assert [entry["text"] for entry in shown] == ran.ui["text"] == ran[0]
    assert [len(entry["phrases"]) for entry in shown] == [len(result.phrases) for result in expected]
    json.dumps(ran.ui)


@pytest.mark.parametrize("count", COUNTS)
def test_the_switch_negative_makes_a_negative_prompt_an_image(
    pack: Pack, library_says: Says, creatures: list[Image.Image], count: int
) -> None:
    ran = of_image(pack, images(creatures[:count]), mode="fast", negative=True)
    assert ran[0] == prompts(library_says("fast", count))
    assert ran[2] == prompts(library_says("negative", count)) and all(ran[2])
    assert [entry["negative"] for entry in ran.ui["interrogator"]] == ran[2]


@pytest.mark.parametrize("count", COUNTS)
@pytest.mark.parametrize("mode", MODES)
def test_interrogate_advanced_gives_what_the_library_gives(
    pack: Pack, demo: Demo, library_says: Says, creatures: list[Image.Image], mode: str, count: int
) -> None:
    expected = library_says(mode, count)
    ran = of_advanced(pack, demo, images(creatures[:count]), mode=mode)
    assert ran[0] == prompts(expected)
    assert ran[1] == [result.caption for result in expected]
    for text, result in zip(ran[2], expected, strict=True):
        assert_phrases(json.loads(text), result.phrases)
    assert ran[3] == pytest.approx([result.similarity for result in expected], abs=1e-5)
    assert all(type(similarity) is float for similarity in ran[3])


def test_options_of_a_mode_reach_the_search(
    pack: Pack, demo: Demo, library_demo: Any, creatures: list[Image.Image]
) -> None:
    creatures = creatures[:1]
    options = {"max_phrases": 3, "min_phrases": 0, "beams": 2, "avoid_repeats": True, "min_angle": 20.0}
    expected = library_demo.interrogate_many(creatures, "best", **options)
    inner = {f"mode.{name}": value for name, value in options.items()}
    assert of_advanced(pack, demo, images(creatures), mode="best", **inner)[0] == prompts(expected)
    short = {name: value for name, value in options.items() if name != "min_angle"}
    expected = library_demo.interrogate_many(creatures, "best", **short)
    inner = {f"mode.{name}": value for name, value in short.items()}
    assert of_image(pack, images(creatures), mode="best", **inner)[0] == prompts(expected)


def test_a_graph_that_names_only_what_it_must_runs(
    pack: Pack, demo: Demo, library_says: Says, creatures: list[Image.Image]
) -> None:
    expected = prompts(library_says("best", 1))
    image = images(creatures[:1])
    assert of_image(pack, image, mode="best", defaults=False)[0] == expected
    assert of_advanced(pack, demo, image, mode="best", defaults=False)[0] == expected


@pytest.mark.parametrize("count", COUNTS)
def test_the_negative_node_gives_what_the_library_gives(
    pack: Pack, demo: Demo, library_demo: Any, creatures: list[Image.Image], count: int
) -> None:
    node, parts = pack.nodes["InterrogatorNegative"], {"encoder": demo.encoder, "banks": demo.banks}
    expected = library_demo.interrogate_many(creatures[:count], "negative", max_phrases=5)
    ran = run(node, image=images(creatures[:count]), max_phrases=5, **parts)
    assert ran[0] == prompts(expected) and all(ran[0])


@pytest.mark.parametrize("count", COUNTS)
def test_captions_are_the_librarys(
    pack: Pack, demo: Demo, library_demo: Any, creatures: list[Image.Image], count: int
) -> None:
    node, captioner = pack.nodes["InterrogatorCaption"], library_demo.captioner
    prepared = [captioner.prepare(picture) for picture in creatures[:count]]
    plain = run(node, image=images(creatures[:count]), captioner=demo.captioner)
    assert plain[0] == captioner.caption(prepared) and all(plain[0])
    given = {"prefix": "a picture of", "keep_prefix": True, "max_length": 12, "beams": 3, "repetition_penalty": 1.2}
    options = pack.library.CaptionOptions(
        prefix="a picture of", keep_prefix=True, max_new_tokens=12, num_beams=3, repetition_penalty=1.2
    )
    ran = run(node, image=images(creatures[:count]), captioner=demo.captioner, **given)
    assert ran[0] == captioner.caption(prepared, options)
    assert all(caption.startswith("a picture of") for caption in ran[0])


@pytest.mark.parametrize("count", COUNTS)
def test_banks_are_ranked_as_the_library_ranks_them(
    pack: Pack, demo: Demo, library_demo: Any, creatures: list[Image.Image], count: int
) -> None:
    ran = run(
        pack.nodes["InterrogatorRank"], image=images(creatures[:count]), encoder=demo.encoder, banks=demo.banks, top=4
    )
    expected = [library_demo.rank(picture, top=4) for picture in creatures[:count]]
    assert ran[0] == ["\n".join(phrase.text for phrase in phrases) for phrases in expected]
    for text, phrases in zip(ran[1], expected, strict=True):
        assert_phrases(json.loads(text), phrases)
    assert len(ran[2]) == count
    for picture in ran[2]:
        assert picture.dtype == torch.float32 and picture.ndim == 4 and picture.shape[0] == 1 and picture.shape[-1] == 3
        assert 0 <= float(picture.min()) < float(picture.max()) <= 1


def test_own_lines_are_ranked_alone_or_beside_banks(pack: Pack, demo: Demo, creatures: list[Image.Image]) -> None:
    node, lines = pack.nodes["InterrogatorRank"], "a red dragon\n\n  a blue whale \na red dragon\n"
    alone = run(node, image=images(creatures), encoder=demo.encoder, lines=lines)
    assert [sorted(text.splitlines()) for text in alone[0]] == [["a blue whale", "a red dragon"]] * 3
    assert {entry["bank"] for text in alone[1] for entry in json.loads(text)} == {"own"}
    beside = run(node, image=images(creatures), encoder=demo.encoder, lines=lines, banks=demo.banks, top=1000)
    for text in beside[1]:
        assert {"own", "mediums", "flavors"} <= {entry["bank"] for entry in json.loads(text)}


@pytest.mark.parametrize("count", COUNTS)
def test_similarities_are_the_librarys(
    pack: Pack, demo: Demo, library_demo: Any, creatures: list[Image.Image], count: int
) -> None:
    node = pack.nodes["InterrogatorSimilarity"]
    one = run(node, image=images(creatures[:count]), encoder=demo.encoder, text="a red dragon")
    expected = [float(library_demo.similarity(picture, ["a red dragon"])[0]) for picture in creatures[:count]]
    assert one[0] == pytest.approx(expected, abs=1e-5) and all(type(value) is float for value in one[0])
    texts = ["a red dragon", "a blue whale", "a green frog"][:count]
    each = run(node, image=images(creatures[:count]), encoder=demo.encoder, text=Listed(texts))
    pairs = zip(creatures[:count], texts, strict=True)
    expected = [float(library_demo.similarity(picture, [text])[0]) for picture, text in pairs]
    assert each[0] == pytest.approx(expected, abs=1e-5)


def test_a_template_is_filled_with_what_other_nodes_give(pack: Pack, demo: Demo, creatures: list[Image.Image]) -> None:
    """Assemble Prompt takes one image at a time, so ComfyUI calls it for each."""
    said = of_advanced(pack, demo, images(creatures), mode="fast", escape=False)
    node = pack.nodes["InterrogatorAssemble"]
    ran = run(node, template="{caption} | {phrases}", caption=Listed(said[1]), phrases=Listed(said[2]))
    assert len(ran[0]) == 3
    for prompt, caption, phrases in zip(ran[0], said[1], said[2], strict=True):
        assert prompt.startswith(caption)
        assert all(phrase["text"] in prompt for phrase in json.loads(phrases))
    ranked = run(pack.nodes["InterrogatorRank"], image=images(creatures), encoder=demo.encoder, banks=demo.banks)
    ran = run(node, template="only {phrases}", phrases=Listed(ranked[1]))
    assert len(ran[0]) == 3 and all(prompt.startswith("only ") for prompt in ran[0])
    assert run(node, caption=Listed(["a cat"]))[0] == ["a cat"]  # what stays empty leaves no comma behind
    own = run(pack.nodes["InterrogatorRank"], image=images(creatures[:1]), encoder=demo.encoder, lines="a wolf")
    filled = {"template": "{caption}, {own}", "caption": Listed(["a cat"])}
    assert run(node, phrases=Listed(own[1]), **filled)[0] == ["a cat, a wolf"]
    assert run(node, **filled)[0] == ["a cat"]


def test_a_caption_from_another_node_serves_all_images_or_one_each(
    pack: Pack, demo: Demo, library_demo: Any, creatures: list[Image.Image]
) -> None:
    for captions in (["a dragon"], ["a dragon", "a whale", "a frog"], [""]):
        all_captions = captions * 3 if len(captions) == 1 else captions
        expected = prompts(library_demo.interrogate_many(creatures, "fast", all_captions))
        for ran in (
            of_image(pack, images(creatures), mode="fast", caption=Listed(captions)),
            of_advanced(pack, demo, images(creatures), mode="fast", caption=Listed(captions), captioner=None),
        ):
            assert ran[1] == all_captions
            assert ran[0] == expected and all(ran[0])


def test_brackets_are_escaped_unless_that_is_switched_off(pack: Pack, demo: Demo, creatures: list[Image.Image]) -> None:
    caption = Listed(["a cat (sleeping)"])
    for node in (of_image, lambda pack, image, **given: of_advanced(pack, demo, image, **given)):
        assert node(pack, images(creatures[:1]), mode="fast", caption=caption)[0][0].startswith(r"a cat \(sleeping\)")
        plain = node(pack, images(creatures[:1]), mode="fast", caption=caption, escape=False)
        assert plain[0][0].startswith("a cat (sleeping)")
        assert plain[1] == ["a cat (sleeping)"]


def test_brackets_in_negative_prompts_are_escaped_too(pack: Pack, demo: Demo, creatures: list[Image.Image]) -> None:
    faults = pack.library.PhraseBank.from_phrases("negative", ["a cat (sleeping)", "a dog (running)"])
    given = {"image": images(creatures[:1]), "encoder": demo.encoder, "banks": Listed([[faults]])}
    node = pack.nodes["InterrogatorNegative"]
    assert r"\(" in run(node, **given)[0][0]
    assert "\\" not in run(node, **given, escape=False)[0][0]


def test_all_kinds_of_image_tensors_are_taken(
    pack: Pack, library_demo: Any, library_says: Says, creatures: list[Image.Image]
) -> None:
    expected = prompts(library_says("fast"))
    half = of_image(pack, Listed([batch(creatures, torch.float16)]), mode="fast")
    assert half[0] == expected  # float16 tells 256 levels apart
    opaque = [picture.convert("RGBA") for picture in creatures]
    assert of_image(pack, Listed([batch(opaque)]), mode="fast")[0] == expected
    grey = [picture.convert("L") for picture in creatures]
    assert of_image(pack, Listed([batch(grey)]), mode="fast")[0] == prompts(library_demo.interrogate_many(grey, "fast"))
    beyond = batch(creatures) * 1.0
    beyond[..., 0, 0, :] = float("nan")
    assert len(of_image(pack, Listed([beyond + 0.5]), mode="fast")[0]) == 3


def test_batches_of_different_sizes_come_as_a_list(
    pack: Pack, demo: Demo, library_demo: Any, creatures: list[Image.Image]
) -> None:
    other = creatures[2].resize((150, 90))
    both = Listed([batch(creatures[:2]), batch([other])])
    expected = prompts(library_demo.interrogate_many([*creatures[:2], other], "fast"))
    assert of_image(pack, both, mode="fast")[0] == expected
    assert of_advanced(pack, demo, both, mode="fast")[0] == expected


def test_more_images_than_one_group_keep_their_order(
    pack: Pack, library_says: Says, creatures: list[Image.Image]
) -> None:
    many = (creatures * 7)[:20]
    ran = of_image(pack, images(many), mode="fast")
    expected = prompts(library_says("fast"))
    assert ran[0] == (expected * 7)[:20]


def test_own_phrases_take_the_place_of_the_presets(pack: Pack, creatures: list[Image.Image]) -> None:
    banks = demo_banks(pack, file="", lines="zebra stripes\npolka dots")
    ran = of_image(pack, images(creatures), mode="fast", banks=banks)
    for prompt, caption in zip(ran[0], ran[1], strict=True):
        assert set(prompt.removeprefix(caption).strip(", ").split(", ")) <= {"zebra stripes", "polka dots"}


def test_phrase_banks_are_chosen_blocked_and_limited(pack: Pack) -> None:
    node = pack.nodes["InterrogatorLoadBanks"]
    ran = run(node, lines="a red fox\na wolf", block="fox\noil", quota="mediums: 1, own: 2", flavors="lighting, color")
    banks = {bank.name: bank for bank in ran[0][0]}
    assert {"artists", "mediums", "movements", "sites", "negative", "lighting", "color", "own"} == set(banks)
    assert list(banks["own"].phrases) == ["a wolf"]
    assert not [text for bank in banks.values() for text in bank.phrases if " oil " in f" {text} "]
    only = run(node, artists="none", mediums=False, movements=False, sites=False, flavors="none", negative=False,
               lines="a wolf")  # fmt: skip
    assert [bank.name for bank in only[0][0]] == ["own"]


def test_the_same_run_twice_gives_the_same(pack: Pack, creatures: list[Image.Image]) -> None:
    first, second = (of_image(pack, images(creatures[:1]), mode="best", negative=True) for _ in range(2))
    assert first.outputs[:3] == second.outputs[:3]  # the last one is blocked


def test_numbers_are_plain_so_that_the_front_end_can_show_them(
    pack: Pack, demo: Demo, creatures: list[Image.Image]
) -> None:
    for ran in (
        of_advanced(pack, demo, images(creatures), mode="classic"),
        run(pack.nodes["InterrogatorRank"], image=images(creatures), encoder=demo.encoder, banks=demo.banks),
        run(pack.nodes["InterrogatorSimilarity"], image=images(creatures), encoder=demo.encoder, text="a cat"),
        run(pack.nodes["InterrogatorCaption"], image=images(creatures), captioner=demo.captioner),
    ):
        assert len(json.loads(json.dumps(ran.ui))["interrogator"]) == 3
        assert not any(isinstance(entry["similarity"], np.generic) for entry in ran.ui["interrogator"])
