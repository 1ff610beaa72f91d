"""What a user reads on a node when something is wrong with it."""

from __future__ import annotations

from typing import Any

import pytest

from .graphs import Graph, mode, output
from .server import Comfy, Rejected, RunFailed

_MISTAKES = {"TypeError", "AttributeError", "KeyError", "IndexError", "AssertionError", "UnboundLocalError"}


def failed(comfyui: Comfy, graph: Graph) -> RunFailed:
    """The error that a run must end with: one readable line that somebody wrote, not a mistake in the code."""
    with pytest.raises(RunFailed) as told:
        comfyui.run(graph.prompt)
    error = told.value
    assert error.kind not in _MISTAKES, f"{error.kind}: {error.message}"
    assert len(error.message.splitlines()) == 1 and len(error.message.split()) > 4, error.message
    return error


class TestLoadBanks:
    @pytest.mark.parametrize(
        ("inputs", "words"),
        [
            ({"flavors": "lighting, lightning"}, ["lightning"]),
            ({"quota": "artists one"}, ["artists one"]),
            ({"file": "/etc/passwd"}, ["outside"]),
            ({"file": "../../../../etc/passwd"}, ["outside"]),
            ({"file": "absent.txt"}, ["absent.txt", "input"]),
            ({"mediums": False, "negative": False, "lines": ""}, ["phrases"]),
        ],
        ids=["unknown-bank", "bad-quota", "absolute-file", "file-above", "absent-file", "nothing"],
    )
    def test_says_what_is_wrong(self, comfyui: Comfy, inputs: dict[str, Any], words: list[str]) -> None:
        graph = Graph()
        banks = graph.banks(**inputs)
        graph.add("InterrogatorNegative", image=graph.image(), encoder=graph.encoder(), banks=banks, max_phrases=5)
        error = failed(comfyui, graph)
        assert error.node == banks[0]
        assert all(word in error.message for word in words), error.message


class TestModels:
    def test_a_missing_preset_names_file_and_switch(self, comfyui: Comfy) -> None:
        graph = Graph()
        node = graph.add("InterrogatorImage", image=graph.image(), preset="sd15", **mode("best"))
        error = failed(comfyui, graph)
        assert error.node == node
        assert "switch on `download`" in error.message and "interrogator" in error.message, error.message

    def test_a_missing_encoder_names_file_and_switch(self, comfyui: Comfy) -> None:
        graph = Graph()
        encoder = graph.encoder("ViT-L-14/openai")
        graph.add("InterrogatorSimilarity", image=graph.image(), encoder=encoder, text="a cat")
        error = failed(comfyui, graph)
        assert error.node == encoder[0]
        assert "encoders" in error.message and "switch on `download`" in error.message, error.message

    def test_a_missing_captioner_names_file_and_switch(self, comfyui: Comfy) -> None:
        graph = Graph()
        captioner = graph.captioner("Salesforce/blip-image-captioning-large")
        graph.caption_node(graph.image(), captioner=captioner)
        error = failed(comfyui, graph)
        assert error.node == captioner[0]
        assert "blip-image-captioning-large" in error.message and "switch on `download`" in error.message, error.message


class TestRunning:
    def test_an_unknown_mode(self, comfyui: Comfy) -> None:
        """ComfyUI itself lets it through."""
        graph = Graph()
        node = graph.add("InterrogatorImage", image=graph.image(), preset="demo", mode="fastest")
        error = failed(comfyui, graph)
        assert error.node == node and "classic" in error.message, error.message

    def test_neither_caption_nor_captioner(self, comfyui: Comfy) -> None:
        graph = Graph()
        node = graph.add(
            "InterrogatorAdvanced", image=graph.image(), encoder=graph.encoder(), banks=graph.banks(), **mode("fast")
        )
        error = failed(comfyui, graph)
        assert error.node == node and "Load Captioner" in error.message, error.message

    def test_captions_that_do_not_pair_with_the_images(self, comfyui: Comfy) -> None:
        graph = Graph()
        captions = graph.caption_node(graph.image(2))
        node = graph.add(
            "InterrogatorImage", image=graph.image(3), preset="demo", caption=output(captions), **mode("fast")
        )
        error = failed(comfyui, graph)
        assert error.node == node and "2 captions" in error.message and "3 images" in error.message, error.message

    def test_nothing_to_rank(self, comfyui: Comfy) -> None:
        graph = Graph()
        node = graph.add("InterrogatorRank", image=graph.image(), encoder=graph.encoder(), lines=" \n", top=5)
        assert failed(comfyui, graph).node == node

    def test_nothing_to_compare_with(self, comfyui: Comfy) -> None:
        graph = Graph()
        node = graph.add("InterrogatorSimilarity", image=graph.image(), encoder=graph.encoder(), text="")
        assert failed(comfyui, graph).node == node

    @pytest.mark.parametrize(
        ("inputs", "word"),
        [
            ({"template": "{caption}, {colour_of_the_sky}"}, "colour_of_the_sky"),
            ({"template": "{caption"}, "{caption"),
            ({"template": "{phrases}", "phrases": "not a list"}, "phrases"),
        ],
        ids=["unknown-name", "open-brace", "no-list"],
    )
    def test_a_template_that_cannot_be_filled(self, comfyui: Comfy, inputs: dict[str, Any], word: str) -> None:
        graph = Graph()
        texts = {name: output(graph.add("PrimitiveString", value=value)) for name, value in inputs.items()}
        node = graph.add("InterrogatorAssemble", **{**texts, "template": inputs["template"]})
        graph.text_of(output(node))
        error = failed(comfyui, graph)
        assert error.node == node and word in error.message, error.message


class TestRejected:
    @pytest.mark.parametrize(
        "inputs", [{"preset": "sd99"}, {"mode.beams": 99}, {"artists": "living"}], ids=["preset", "beams", "artists"]
    )
    def test_a_value_out_of_range_is_refused_before_the_run(self, comfyui: Comfy, inputs: dict[str, Any]) -> None:
        graph = Graph()
        known = {"preset": "demo", **mode("best")}
        node = graph.add("InterrogatorImage", image=graph.image(), **{**known, **inputs})
        with pytest.raises(Rejected) as told:
            comfyui.run(graph.prompt)
        assert list(told.value.nodes) == [node]
