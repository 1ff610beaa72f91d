"""What cannot be done is said in one sentence that helps; no node answers with an empty prompt."""

from __future__ import annotations

import re
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import torch
from PIL import Image

import interrogator
from tests.library.bare_models import BareTagger

from .conftest import Demo, demo_banks, images
from .stand_ins import Listed, Pack, Refused, run

pytestmark = pytest.mark.models

# Words of Python, not of a person who looks for what to change in a graph.
PYTHON = re.compile(
    r"Traceback|\[Errno|0x[0-9a-f]{6}|NoneType|positional argument|has no attribute|\b[A-Z]\w+Error\b|codec can't"
)
EMPTY = Listed([torch.zeros(0, 8, 8, 3)])


def said(run_it: Callable[[], Any], *words: str) -> str:
    """What a run says that is refused; it holds the words, and is one sentence for a person."""
    with pytest.raises(Exception) as caught:  # noqa: B017 - the text is what counts
        run_it()
    error, text = caught.value, str(caught.value)
    by_accident = (TypeError, KeyError, AttributeError, IndexError, AssertionError, OSError)
    assert not isinstance(error, by_accident), repr(error)
    assert not isinstance(error, Refused), f"ComfyUI did not run the node: {error}"
    assert len(text.split()) > 3 and len(text) < 1000 and "\n" not in text, f"this is no sentence: {text}"
    assert not PYTHON.search(text), f"this says more about Python than about the graph: {text}"
    for word in words:
        assert word in text, text
    return text


def image_nodes(pack: Pack, demo: Demo) -> dict[str, dict[str, Any]]:
    """What each node with an image needs beside it, by node id."""
    return {
        "InterrogatorImage": {"preset": "demo"},
        "InterrogatorAdvanced": {"encoder": demo.encoder, "banks": demo.banks, "captioner": demo.captioner},
        "InterrogatorNegative": {"encoder": demo.encoder, "banks": demo.banks},
        "InterrogatorCaption": {"captioner": demo.captioner},
        "InterrogatorRank": {"encoder": demo.encoder, "banks": demo.banks},
        "InterrogatorSimilarity": {"encoder": demo.encoder, "text": "a cat"},
        "InterrogatorCheck": {"encoder": demo.encoder, "caption": "a cat"},
        "InterrogatorTag": {"tagger": Listed([pack.module("nodes.models").hosted(BareTagger())])},
    }


NODES_WITH_AN_IMAGE = (
    "InterrogatorImage", "InterrogatorAdvanced", "InterrogatorNegative", "InterrogatorCaption", "InterrogatorRank",
    "InterrogatorSimilarity", "InterrogatorCheck", "InterrogatorTag",
)  # fmt: skip


@pytest.mark.parametrize("node", NODES_WITH_AN_IMAGE)
def test_an_empty_batch(pack: Pack, demo: Demo, node: str) -> None:
    said(lambda: run(pack.nodes[node], image=EMPTY, **image_nodes(pack, demo)[node]), "empty", "at least one image")


@pytest.mark.parametrize("node", NODES_WITH_AN_IMAGE)
@pytest.mark.parametrize("shape", [(1, 8, 8, 2), (1, 0, 8, 3), (8, 8), (1, 2, 8, 8, 3)])
def test_something_that_is_no_image(pack: Pack, demo: Demo, node: str, shape: tuple[int, ...]) -> None:
    wrong = Listed([torch.zeros(shape)])
    said(lambda: run(pack.nodes[node], image=wrong, **image_nodes(pack, demo)[node]), "Not an IMAGE", "image output")


@pytest.mark.parametrize("node", ["InterrogatorImage", "InterrogatorAdvanced"])
def test_a_mode_that_is_not_there(pack: Pack, demo: Demo, creatures: list[Image.Image], node: str) -> None:
    """ComfyUI does not refuse it: it leaves the input out."""
    given = {"image": images(creatures[:1]), **image_nodes(pack, demo)[node]}
    text = said(lambda: run(pack.nodes[node], mode="poetry", **given), "mode")
    assert all(mode in text for mode in ("best", "fast", "classic", "caption", "negative"))
    said(lambda: run(pack.nodes[node], defaults=False, **given), "mode")


def test_a_bank_that_is_not_there(pack: Pack) -> None:
    node = pack.nodes["InterrogatorLoadBanks"]
    said(lambda: run(node, flavors="nonsense"), "nonsense", "lighting")
    said(lambda: run(node, flavors="lighting, colour"), "colour", "color")
    said(lambda: run(node, quota="nonsense: 3"), "nonsense")


@pytest.mark.parametrize("quota", ["artists", "artists: many", "artists: -1", "artists: 1; flavors: 2", "artists 3"])
def test_a_quota_that_is_none(pack: Pack, quota: str) -> None:
    said(lambda: run(pack.nodes["InterrogatorLoadBanks"], quota=quota), quota.split(",")[0], "artists: 1, lighting: 2")


def test_no_phrases_at_all(pack: Pack) -> None:
    said(lambda: demo_banks(pack, file=""), "no phrases", "switch on a bank")
    said(lambda: demo_banks(pack, file="", lines="a fox", block="fox"), "no phrases")


@pytest.mark.parametrize("folder", ["banks", "input"])
def test_lists_are_read_from_two_folders(pack: Pack, folder: str) -> None:
    place = pack.comfyui.input if folder == "input" else pack.comfyui.models / "interrogator" / "banks"
    place.mkdir(parents=True, exist_ok=True)
    (place / f"mine_{folder}.txt").write_text("a wolf\na fox\n", encoding="utf-8")
    for name in (f"mine_{folder}.txt", f" mine_{folder}.txt ", str(place / f"mine_{folder}.txt")):
        (bank,) = demo_banks(pack, file=name)[0]
        assert bank.name == f"mine_{folder}" and list(bank.phrases) == ["a wolf", "a fox"]


@pytest.mark.parametrize("kind", ["absolute", "upwards", "link", "linked folder", "home", "upwards from inside"])
def test_a_list_elsewhere_is_not_read(pack: Pack, tmp_path: Path, kind: str) -> None:
    """A graph from the web must not show what is in the files of this machine."""
    secret = tmp_path / "secret.txt"
    secret.write_text("a secret\n", encoding="utf-8")
    banks = pack.comfyui.models / "interrogator" / "banks"
    (pack.comfyui.models / "above.txt").write_text("a secret\n", encoding="utf-8")
    name = {
        "absolute": str(secret),
        "upwards": "../../above.txt",
        "upwards from inside": "demo/../../../above.txt",
        "home": "~/.profile",
        "link": "link.txt",
        "linked folder": "linked/secret.txt",
    }[kind]
    try:
        for link, target in ((banks / "link.txt", secret), (banks / "linked", tmp_path)):
            link.unlink(missing_ok=True)
            link.symlink_to(target)
    except OSError:
        if "link" in kind:
            pytest.skip("links cannot be made here")
    text = said(lambda: demo_banks(pack, file=name), name, str(banks.resolve()))
    assert "a secret" not in text
    if kind != "home":
        assert "outside" in text


@pytest.mark.parametrize("name", ["missing.txt", ".", "demo/missing.txt", "a" * 300 + ".txt", "null\0.txt"])
def test_a_list_that_is_not_there(pack: Pack, name: str) -> None:
    text = said(lambda: demo_banks(pack, file=name))
    assert str(pack.comfyui.input.resolve()) in text


@pytest.mark.parametrize("content", [b"\xff\xfea\x00", b"caf\xe9\n", b"\x89PNG\r\n\x1a\n\0\0"])
def test_a_list_that_is_no_text(pack: Pack, content: bytes) -> None:
    (pack.comfyui.models / "interrogator" / "banks" / "broken.txt").write_bytes(content)
    said(lambda: demo_banks(pack, file="broken.txt"), "broken.txt")


def test_an_empty_list(pack: Pack) -> None:
    (pack.comfyui.models / "interrogator" / "banks" / "nothing.txt").write_bytes(b"\n \n")
    said(lambda: demo_banks(pack, file="nothing.txt"), "nothing")


@pytest.mark.parametrize(
    ("node", "model"),
    [
        ("InterrogatorLoadCaptioner", "Salesforce/blip-image-captioning-base"),
        ("InterrogatorLoadEncoder", "ViT-L-14/openai"),
    ],
)
def test_a_model_that_is_missing(pack: Pack, node: str, model: str) -> None:
    text = said(lambda: run(pack.nodes[node], model=model), "switch on `download`", "safetensors", "GB")
    kind = "captioners" if "Captioner" in node else "encoders"
    assert str(pack.comfyui.models / "interrogator" / kind) in text, "names no folder of ComfyUI"


@pytest.mark.parametrize("preset", ["small", "sd15", "sd21", "sdxl"])
def test_a_preset_whose_models_are_missing(pack: Pack, creatures: list[Image.Image], preset: str) -> None:
    node = pack.nodes["InterrogatorImage"]
    said(lambda: run(node, image=images(creatures[:1]), preset=preset), "switch on `download`", "captioners")
    given = {"image": images(creatures[:1]), "preset": preset, "caption": Listed(["a cat"])}
    said(lambda: run(node, **given), "switch on `download`", "encoders")


def test_neither_caption_nor_captioner(pack: Pack, demo: Demo, creatures: list[Image.Image]) -> None:
    given = {"image": images(creatures[:1]), "encoder": demo.encoder, "banks": demo.banks}
    for mode in ("best", "fast", "classic", "caption"):
        said(
            lambda mode=mode: run(pack.nodes["InterrogatorAdvanced"], mode=mode, **given),
            "no caption",
            "Load Captioner",
        )


def test_an_empty_caption_alone(pack: Pack, demo: Demo, creatures: list[Image.Image]) -> None:
    given = {"image": images(creatures[:1]), "mode": "caption", "caption": Listed([""])}
    for node in ("InterrogatorImage", "InterrogatorAdvanced"):
        said(lambda node=node: run(pack.nodes[node], **given, **image_nodes(pack, demo)[node]), "caption")


@pytest.mark.parametrize("count", [0, 2, 4])
def test_captions_that_do_not_fit_the_images(pack: Pack, demo: Demo, creatures: list[Image.Image], count: int) -> None:
    """No caption at all over a link is none for anybody, so the captioner writes."""
    given = {"image": images(creatures), "mode": "fast", "caption": Listed(["a cat"] * count)}
    for node in ("InterrogatorImage", "InterrogatorAdvanced"):
        asked = {**given, **image_nodes(pack, demo)[node]}
        if count:
            said(lambda node=node, asked=asked: run(pack.nodes[node], **asked), f"{count} captions", "3 images")
        else:
            assert all(run(pack.nodes[node], **asked)[0])


def test_texts_that_do_not_fit_the_images(pack: Pack, demo: Demo, creatures: list[Image.Image]) -> None:
    given = {"image": images(creatures), "encoder": demo.encoder}
    node = pack.nodes["InterrogatorSimilarity"]
    said(lambda: run(node, text=Listed(["a", "b"]), **given), "2 texts", "3 images")
    for text in ("", " \n", Listed(["a", "", "b"]), Listed([None])):
        said(lambda text=text: run(node, text=text, **given), "no text")


def test_nothing_to_rank(pack: Pack, demo: Demo, creatures: list[Image.Image]) -> None:
    given = {"image": images(creatures[:1]), "encoder": demo.encoder}
    said(lambda: run(pack.nodes["InterrogatorRank"], lines=" \n\n", **given), "nothing to rank", "type phrases")


@pytest.mark.parametrize(
    "phrases",
    [
        "nonsense", "3", "null", "{}", '{"text": "a"}', '["a"]', '[["a", "b", 1]]', '[{"text": "a"}]', '"a cat"',
        '[{"text": 1, "bank": 2, "similarity": "x"}]', '[{"text": "a", "bank": "b", "similarity": "x"}]',
        '[{"text": "a", "bank": "b", "similarity": 1, "more": 2}]', "[",
    ],
)  # fmt: skip
def test_phrases_that_are_no_list_of_phrases(pack: Pack, phrases: str) -> None:
    for name in ("InterrogatorAssemble", "InterrogatorTexts"):
        node = pack.nodes[name]
        said(lambda: run(node, caption=Listed(["a cat"]), phrases=Listed([phrases])), "phrases", "Rank Phrases")  # noqa: B023


@pytest.mark.parametrize(
    ("given", "word"),
    [
        ({"image_model": "flux", "weights": True}, "flux reads no weights"),
        ({"image_model": "qwen", "weights": True}, "qwen reads no weights"),
        ({"image_model": "sdxl", "quality_tags": True}, "sdxl has no tags for quality"),
        ({"caption": Listed([" "]), "phrases": Listed(["[]"]), "tags": Listed([" , "])}, "no words to make texts of"),
    ],
)
def test_texts_that_an_image_model_does_not_read(pack: Pack, given: dict[str, Any], word: str) -> None:
    said(lambda: run(pack.nodes["InterrogatorTexts"], **{"caption": Listed(["a cat"]), **given}), word)


@pytest.mark.parametrize("template", ["{nonsense}", "{caption}, {Flavour}", "{caption.upper}", "{0}", "{caption!r}"])
def test_a_template_with_a_name_that_is_not_there(pack: Pack, template: str) -> None:
    said(lambda: run(pack.nodes["InterrogatorAssemble"], template=template, caption=Listed(["a cat"])), "caption")


@pytest.mark.parametrize("template", ["{caption", "caption}", "{}", "{{caption}"])
def test_a_template_with_a_brace_too_many(pack: Pack, template: str) -> None:
    """It either means something or is said; it never breaks off."""
    node = pack.nodes["InterrogatorAssemble"]
    try:
        assert run(node, template=template, caption=Listed(["a cat"]))[0][0].strip()
    except Exception:  # noqa: BLE001 - looked at below
        said(lambda: run(node, template=template, caption=Listed(["a cat"])))


@pytest.mark.parametrize("template", ["", " , ", "{caption}", "{caption}, {flavors}"])
def test_a_template_that_nothing_comes_of(pack: Pack, template: str) -> None:
    said(lambda: run(pack.nodes["InterrogatorAssemble"], template=template))


@pytest.mark.parametrize("mode", ["best", "fast", "classic", "negative"])
def test_no_prompt_is_ever_empty(pack: Pack, demo: Demo, creatures: list[Image.Image], mode: str) -> None:
    """What comes over a link is not held against the widget's smallest number."""
    none = {"mode.max_phrases": Listed([0])}
    given = {"image": images(creatures[:1]), "mode": mode, "caption": Listed([""]), **none}
    for node in ("InterrogatorImage", "InterrogatorAdvanced"):
        asked = {**given, **image_nodes(pack, demo)[node]}
        try:
            assert all(run(pack.nodes[node], **asked)[0]), f"{node} gave an empty prompt"
        except (RuntimeError, ValueError, pack.library.InterrogatorError):
            said(lambda node=node, asked=asked: run(pack.nodes[node], **asked))


def test_no_negative_prompt_is_ever_empty(pack: Pack, demo: Demo, creatures: list[Image.Image]) -> None:
    """Nothing may be taken, by number or by quota; or whatever there is would be true of the image."""
    node, given = pack.nodes["InterrogatorNegative"], {"image": images(creatures[:1]), "encoder": demo.encoder}
    said(lambda: run(node, banks=demo.banks, max_phrases=Listed([0]), **given))
    said(lambda: run(node, banks=demo_banks(pack, quota="mediums: 0, movements: 0, negative: 0"), **given))
    caption = run(pack.nodes["InterrogatorCaption"], image=given["image"], captioner=demo.captioner)[0][0]
    alike = demo_banks(pack, file="", lines=caption)
    advanced = {"mode": "negative", "banks": alike, **given}
    try:
        assert all(run(pack.nodes["InterrogatorAdvanced"], **advanced)[0])
    except pack.library.RequestError:
        said(lambda: run(pack.nodes["InterrogatorAdvanced"], **advanced))


def test_banks_that_a_mode_has_no_use_for(pack: Pack, demo: Demo, creatures: list[Image.Image]) -> None:
    """Negative prompts are made of mediums, movements and the bank `negative`."""
    banks = demo_banks(pack, file="", sites=True)
    given = {"image": images(creatures[:1]), "encoder": demo.encoder, "banks": banks}
    said(lambda: run(pack.nodes["InterrogatorNegative"], **given), "negative")
    said(lambda: run(pack.nodes["InterrogatorAdvanced"], mode="negative", **given), "negative")


def test_a_prefix_that_leaves_no_room(pack: Pack, demo: Demo, creatures: list[Image.Image]) -> None:
    given = {"image": images(creatures[:1]), "captioner": demo.captioner, "prefix": "a cat " * 300}
    said(lambda: run(pack.nodes["InterrogatorCaption"], **given), "prefix", "tokens")


def test_more_tokens_at_least_than_at_most(pack: Pack, demo: Demo, creatures: list[Image.Image]) -> None:
    given = {"image": images(creatures[:1]), "captioner": demo.captioner, "max_length": 4, "min_length": 9}
    said(lambda: run(pack.nodes["InterrogatorCaption"], **given), "9", "4")


def test_a_damaged_model_on_disk(pack: Pack) -> None:
    """Its configuration is there, its weights are not what they say."""
    damaged = pack.comfyui.models / "interrogator" / "captioners" / "damaged"
    shutil.copytree(interrogator.demo.CAPTIONER_DIR, damaged)
    (damaged / "model.safetensors").write_bytes(b"nonsense")
    try:
        said(lambda: run(pack.nodes["InterrogatorLoadCaptioner"], model="captioners/damaged"), "damaged")
    finally:
        shutil.rmtree(damaged)
