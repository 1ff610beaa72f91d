"""Every node in runs of a real ComfyUI, with the demo models."""

from __future__ import annotations

import json
import time
from collections.abc import Callable, Iterator
from typing import Any

import pytest

from tests.library.small_server import SmallServer, serving

from .graphs import Graph, mode, output
from .server import RUN_SECONDS, Comfy, RunFailed, run_seconds, served_from_cache, shown

COUNTS = pytest.mark.parametrize("count", [1, 3])
MODES = ["best", "fast", "classic", "caption", "negative"]
WORDS = {"cat", "dog", "bird", "fish", "rabbit", "fox", "frog", "bear", "owl", "creature"}


def interrogate(graph: Graph, count: int = 1, chosen: str = "best", **inputs: Any) -> str:
    """Interrogate Image with the demo preset over a batch; its id."""
    return graph.add("InterrogatorImage", image=graph.image(count), preset="demo", **{**mode(chosen), **inputs})


def advanced(graph: Graph, count: int = 1, chosen: str = "best", **inputs: Any) -> str:
    """Interrogate (advanced) with the demo encoder over a batch; its id."""
    banks = inputs.pop("banks", None) or graph.banks()
    image, encoder = graph.image(count), graph.encoder()
    return graph.add("InterrogatorAdvanced", image=image, encoder=encoder, banks=banks, **mode(chosen), **inputs)


def test_the_first_run_loads_and_the_second_does_not(comfyui: Comfy, measured: Callable[[str], None]) -> None:
    """Told, not asserted; first in this file, so that nothing is loaded where the file runs by itself."""
    for which, most in (("first", 32), ("second", 31)):
        graph = Graph()
        node = interrogate(graph, 1, "best", **{"mode.max_phrases": most})
        entry = comfyui.run(graph.prompt)
        assert node not in served_from_cache(entry)
        measured(f"demo preset, best mode, one image, {which} run: {run_seconds(entry):.2f} s")


class TestInterrogateImage:
    @COUNTS
    @pytest.mark.parametrize("chosen", MODES)
    def test_every_image_of_a_batch_gets_a_prompt(self, comfyui: Comfy, chosen: str, count: int) -> None:
        graph = Graph()
        node = interrogate(graph, count, chosen)
        prompts, captions = graph.text_of(output(node, 0)), graph.text_of(output(node, 1))
        entry = comfyui.run(graph.prompt)
        assert len(shown(entry, prompts)) == len(shown(entry, captions)) == count
        assert all(shown(entry, prompts))
        assert shown(entry, node) == shown(entry, prompts)
        assert len(shown(entry, node, "interrogator")) == count

    def test_batch_and_single_images_agree(self, comfyui: Comfy) -> None:
        graph = Graph()
        together = interrogate(graph, 3)
        alone = graph.add("InterrogatorImage", image=graph.image(), preset="demo", **mode("best"))
        entry = comfyui.run(graph.prompt)
        assert shown(entry, together)[0] == shown(entry, alone)[0]

    def test_options_of_a_mode_arrive(self, comfyui: Comfy) -> None:
        graph = Graph()
        image = graph.image()
        short = graph.add("InterrogatorImage", image=image, preset="demo", **mode("best", max_phrases=1, beams=4))
        entry = comfyui.run(graph.prompt)
        assert len(shown(entry, short, "interrogator")[0]["phrases"]) <= 1

    @COUNTS
    def test_negative_comes_on_its_own_output(self, comfyui: Comfy, count: int) -> None:
        graph = Graph()
        node = interrogate(graph, count, "fast", negative=True)
        negatives = graph.text_of(output(node, 2))
        entry = comfyui.run(graph.prompt)
        assert len(shown(entry, negatives)) == count and all(shown(entry, negatives))
        assert [result["negative"] for result in shown(entry, node, "interrogator")] == shown(entry, negatives)

    @COUNTS
    def test_negative_off_blocks_what_hangs_on_it(self, comfyui: Comfy, count: int) -> None:
        graph = Graph()
        node = interrogate(graph, count, "fast", negative=False)
        prompts, negatives = graph.text_of(output(node, 0)), graph.text_of(output(node, 2))
        entry = comfyui.run(graph.prompt)
        assert len(shown(entry, prompts)) == count
        assert negatives not in entry["outputs"]

    def test_a_caption_from_another_node_is_used(self, comfyui: Comfy) -> None:
        graph = Graph()
        said = output(graph.add("PrimitiveString", value="a marble statue of a horse"))
        node = interrogate(graph, 1, "fast", caption=said)
        entry = comfyui.run(graph.prompt)
        assert shown(entry, node)[0].startswith("a marble statue of a horse")

    def test_banks_from_another_node_are_used(self, comfyui: Comfy) -> None:
        graph = Graph()
        node = interrogate(graph, 1, "fast", banks=graph.banks(mediums=False, lines="zebra crossing"))
        assert "zebra crossing" in shown(comfyui.run(graph.prompt), node)[0]

    def test_brackets_are_escaped_unless_switched_off(self, comfyui: Comfy) -> None:
        graph = Graph()
        said = output(graph.add("PrimitiveString", value="a cat (sitting)"))
        escaped = interrogate(graph, 1, "caption", caption=said)
        plain = interrogate(graph, 1, "caption", caption=said, escape=False)
        entry = comfyui.run(graph.prompt)
        assert shown(entry, escaped) == [r"a cat \(sitting\)"]
        assert shown(entry, plain) == ["a cat (sitting)"]

    def test_an_image_with_alpha_is_taken(self, comfyui: Comfy) -> None:
        graph = Graph()
        loaded = graph.add("LoadImage", image="creature-0.png")
        mask = output(graph.add("SolidMask", value=0.0, width=192, height=192))
        transparent = output(graph.add("JoinImageWithAlpha", image=output(loaded), alpha=mask))
        node = graph.add("InterrogatorImage", image=transparent, preset="demo", **mode("fast"))
        opaque = interrogate(graph, 1, "fast")
        entry = comfyui.run(graph.prompt)
        assert shown(entry, node) == shown(entry, opaque)

    def test_runs_without_anything_connected_after_it(self, comfyui: Comfy) -> None:
        graph = Graph()
        node = interrogate(graph)
        assert node in comfyui.run(graph.prompt)["outputs"]

    def test_same_in_same_out_and_nothing_reruns(self, comfyui: Comfy) -> None:
        graph = Graph()
        node = interrogate(graph, 3)
        first = comfyui.run(graph.prompt)
        second = comfyui.run(graph.prompt)
        assert node in served_from_cache(second)
        assert shown(first, node) == shown(second, node)


class TestCaption:
    @COUNTS
    def test_every_image_gets_a_caption(self, comfyui: Comfy, count: int) -> None:
        graph = Graph()
        node = graph.caption_node(graph.image(count), beams=3)
        entry = comfyui.run(graph.prompt)
        assert len(shown(entry, node)) == count and all(shown(entry, node))

    def test_prefix_is_kept_when_asked(self, comfyui: Comfy) -> None:
        graph = Graph()
        node = graph.caption_node(graph.image(), prefix="a drawing of", keep_prefix=True)
        assert shown(comfyui.run(graph.prompt), node)[0].startswith("a drawing of")


class TestTag:
    @COUNTS
    def test_every_image_gets_its_tags_in_each_form(self, comfyui: Comfy, count: int) -> None:
        graph = Graph()
        node = graph.tag_node(graph.image(count))
        tags, listed, held = (graph.text_of(output(node, place)) for place in range(3))
        picture = graph.add("PreviewImage", images=output(node, 3))
        entry = comfyui.run(graph.prompt)
        texts = shown(entry, tags)
        assert len(texts) == count and all(texts) and shown(entry, node) == texts
        assert shown(entry, listed) == [tag for text in texts for tag in text.split(", ")]
        for text, row in zip(texts, shown(entry, held), strict=True):
            found = json.loads(row)
            assert {tag["text"] for tag in found if tag["category"] != "rating"} == set(text.split(", "))
            assert all(0 < tag["probability"] <= 1 for tag in found)
        assert len(shown(entry, picture, "images")) == count
        assert [result["full"] for result in shown(entry, node, "interrogator")] == [1.0] * count

    def test_tags_are_limited_and_blocked(self, comfyui: Comfy) -> None:
        graph = Graph()
        image = graph.image()
        every, few = graph.tag_node(image), graph.tag_node(image, max_tags=2)
        entry = comfyui.run(graph.prompt)
        first = shown(entry, every)[0].split(", ")
        assert shown(entry, few)[0].split(", ") == first[:2] and len(first) > 2
        graph = Graph()
        blocked = graph.tag_node(graph.image(), blocked=f"{first[0]}\n*{first[1][-3:]}")
        assert not {first[0], first[1]} & set(shown(comfyui.run(graph.prompt), blocked)[0].split(", "))


class TestConnectedModels:
    def test_take_the_place_of_a_presets_that_are_not_there(self, comfyui: Comfy) -> None:
        graph = Graph()
        image, parts = graph.image(3), {"captioner": graph.captioner(), "encoder": graph.encoder()}
        node = graph.add(
            "InterrogatorImage", image=image, preset="sdxl", banks=graph.banks(), tagger=graph.tagger(), **parts,
            **mode("fast"),
        )  # fmt: skip
        tags, alone = graph.text_of(output(node, 3)), graph.tag_node(image)
        entry = comfyui.run(graph.prompt)
        assert len(shown(entry, node)) == 3 and all(shown(entry, node))
        assert shown(entry, tags) == shown(entry, alone)

    def test_the_demo_preset_tags(self, comfyui: Comfy) -> None:
        graph = Graph()
        node, alone = interrogate(graph, 1, "tags"), graph.tag_node(graph.image())
        entry = comfyui.run(graph.prompt)
        assert shown(entry, node) == shown(entry, alone)


class TestEndpoint:
    @pytest.fixture
    def server(self) -> Iterator[SmallServer]:
        with serving() as found:
            yield found

    def test_captions_come_from_a_server_with_the_tags_in_the_question(
        self, comfyui: Comfy, server: SmallServer
    ) -> None:
        graph = Graph()
        image = graph.image(3)
        captioner = output(graph.add("InterrogatorEndpoint", address=server.base, model=""))
        tagged = graph.tag_node(image, escape=False)
        node = graph.caption_node(
            image, captioner=captioner, max_length=0, named_prompt="tag-grounded", tags=output(tagged)
        )
        entry = comfyui.run(graph.prompt)
        assert all("colored" in caption for caption in shown(entry, node)) and len(shown(entry, node)) == 3
        asked = {request.question.partition("image: ")[2].partition(". Describe")[0] for request in server.requests}
        assert asked == set(shown(entry, tagged))

    def test_an_address_elsewhere_needs_the_users_settings(self, comfyui: Comfy) -> None:
        graph = Graph()
        captioner = output(graph.add("InterrogatorEndpoint", address="http://192.0.2.1:1234/v1", model="a"))
        graph.caption_node(graph.image(), captioner=captioner)
        with pytest.raises(RunFailed, match="a graph must not send pictures there"):
            comfyui.run(graph.prompt)

    def test_the_address_of_the_settings_is_used_and_a_change_runs_the_node_again(
        self, comfyui: Comfy, server: SmallServer
    ) -> None:
        graph = Graph()
        captioner = output(graph.add("InterrogatorEndpoint", address="", model=""))
        node = graph.caption_node(graph.image(), captioner=captioner, max_length=0)
        with pytest.raises(RunFailed, match="There is no address"):
            comfyui.run(graph.prompt)
        try:
            comfyui.post("/settings", {"Interrogator.Endpoint": server.base})
            assert "colored" in shown(comfyui.run(graph.prompt), node)[0]
            comfyui.post("/settings", {"Interrogator.Endpoint": "http://192.0.2.1:1234/v1"})
            assert node not in served_from_cache(comfyui.wait(comfyui.queue(graph.prompt)))
        finally:
            comfyui.post("/settings", {"Interrogator.Endpoint": ""})


class TestAdvanced:
    @COUNTS
    @pytest.mark.parametrize("chosen", MODES)
    def test_every_output_has_one_item_an_image(self, comfyui: Comfy, chosen: str, count: int) -> None:
        graph = Graph()
        node = advanced(graph, count, chosen, captioner=graph.captioner())
        outputs = [graph.text_of(output(node, place)) for place in range(4)]
        entry = comfyui.run(graph.prompt)
        prompts, captions, phrases, similarities = (shown(entry, each) for each in outputs)
        assert len(prompts) == len(captions) == len(phrases) == len(similarities) == count
        assert all(isinstance(json.loads(text), list) for text in phrases)
        assert all(-1 <= float(text) <= 1 for text in similarities)

    def test_captions_of_another_node_pair_with_the_batch(self, comfyui: Comfy) -> None:
        graph = Graph()
        image = graph.image(3)
        captions = graph.caption_node(image)
        node = graph.add(
            "InterrogatorAdvanced", image=image, encoder=graph.encoder(), banks=graph.banks(),
            caption=output(captions), **mode("fast"),
        )  # fmt: skip
        entry = comfyui.run(graph.prompt)
        said, prompts = shown(entry, captions), shown(entry, node)
        assert len(said) == len(prompts) == 3 and len(set(said)) > 1
        assert all(prompt.startswith(caption) for prompt, caption in zip(prompts, said, strict=True))

    def test_an_empty_caption_makes_a_prompt_of_phrases(self, comfyui: Comfy) -> None:
        graph = Graph()
        node = advanced(graph, 1, "fast", caption=output(graph.add("PrimitiveString", value="")))
        entry = comfyui.run(graph.prompt)
        first = shown(entry, node, "interrogator")[0]["phrases"][0]["text"]
        assert shown(entry, node)[0].startswith(first)


class TestOthers:
    @COUNTS
    def test_negative_prompt(self, comfyui: Comfy, count: int) -> None:
        graph = Graph()
        node = graph.add(
            "InterrogatorNegative",
            image=graph.image(count),
            encoder=graph.encoder(),
            banks=graph.banks(),
            max_phrases=5,
        )
        entry = comfyui.run(graph.prompt)
        assert len(shown(entry, node)) == count and all(shown(entry, node))

    @COUNTS
    def test_rank_phrases(self, comfyui: Comfy, count: int) -> None:
        graph = Graph()
        lines = "a red cat\na blue dog\na green bird"
        node = graph.add("InterrogatorRank", image=graph.image(count), encoder=graph.encoder(), lines=lines, top=2)
        scores = graph.text_of(output(node, 1))
        picture = graph.add("PreviewImage", images=output(node, 2))
        entry = comfyui.run(graph.prompt)
        assert all(set(text.splitlines()) < set(lines.splitlines()) for text in shown(entry, node))
        for text in shown(entry, scores):
            ranked = [phrase["similarity"] for phrase in json.loads(text)]
            assert len(ranked) == 2 and ranked == sorted(ranked, reverse=True)
        assert len(shown(entry, node)) == len(shown(entry, scores)) == len(shown(entry, picture, "images")) == count

    @COUNTS
    def test_similarity(self, comfyui: Comfy, count: int) -> None:
        graph = Graph()
        node = graph.add(
            "InterrogatorSimilarity", image=graph.image(count), encoder=graph.encoder(), text="a cat on a roof"
        )
        numbers = graph.text_of(output(node))
        entry = comfyui.run(graph.prompt)
        assert len(shown(entry, numbers)) == count
        assert all(-1 <= float(number) <= 1 for number in shown(entry, numbers))

    @COUNTS
    def test_assemble_takes_what_advanced_gives(self, comfyui: Comfy, count: int) -> None:
        graph = Graph()
        node = advanced(graph, count, "best", captioner=graph.captioner())
        made = graph.add(
            "InterrogatorAssemble", template="{phrases} -- {caption}", caption=output(node, 1), phrases=output(node, 2)
        )
        text, captions = graph.text_of(output(made)), graph.text_of(output(node, 1))
        entry = comfyui.run(graph.prompt)
        pairs = zip(shown(entry, text), shown(entry, captions), strict=True)
        assert len(shown(entry, text)) == count and all(prompt.endswith(f"-- {caption}") for prompt, caption in pairs)

    def test_assemble_takes_what_rank_gives(self, comfyui: Comfy) -> None:
        graph = Graph()
        ranked = graph.add(
            "InterrogatorRank", image=graph.image(), encoder=graph.encoder(), lines="a red cat\na blue dog", top=2
        )
        made = graph.add("InterrogatorAssemble", template="{own}", phrases=output(ranked, 1))
        text = graph.text_of(output(made))
        entry = comfyui.run(graph.prompt)
        assert set(shown(entry, text)[0].split(", ")) == {"a red cat", "a blue dog"}


class TestPromptForEncoders:
    def test_comfyui_has_the_sockets_that_its_outputs_are_for(self, comfyui: Comfy) -> None:
        for kind, sockets in (
            ("CLIPTextEncodeFlux", {"clip_l", "t5xxl"}),
            ("CLIPTextEncodeSDXL", {"text_l", "text_g"}),
            ("CLIPTextEncodeSD3", {"clip_l", "clip_g", "t5xxl"}),
        ):
            assert sockets <= comfyui.get(f"/object_info/{kind}")[kind]["input"]["required"].keys()

    def test_each_image_has_its_texts_and_what_a_model_lacks_does_not_run(self, comfyui: Comfy) -> None:
        graph = Graph()
        node = graph.add("InterrogatorImage", image=graph.image(2), preset="demo", **mode("fast", max_phrases=3))
        texts = graph.add(
            "InterrogatorTexts", image_model="flux", weights=False, quality_tags=False, caption=output(node, 1),
            phrases=output(node, 4),
        )  # fmt: skip
        clip_l, clip_g, t5xxl = (graph.text_of(output(texts, place)) for place in range(3))
        entry = comfyui.run(graph.prompt)
        assert shown(entry, clip_l) == shown(entry, node) and len(shown(entry, clip_l)) == 2
        assert all(text.endswith(".") for text in shown(entry, t5xxl))
        assert clip_g not in entry["outputs"]


class TestLoadBanks:
    def test_a_list_in_the_input_folder_is_read_again_when_it_was_edited(self, comfyui: Comfy) -> None:
        listed = comfyui.base_dir / "input" / "creatures.txt"
        texts = []
        for phrase in ("velvet armchair", "brass telescope"):
            listed.write_text(f"{phrase}\n", encoding="utf-8")
            graph = Graph()
            banks = graph.banks(mediums=False, negative=False, lines="", file=listed.name)
            node = graph.add(
                "InterrogatorRank", image=graph.image(), encoder=graph.encoder(), lines="", top=5, banks=banks
            )
            texts.append(shown(comfyui.run(graph.prompt), node))
        assert texts == [["velvet armchair"], ["brass telescope"]]


def test_unload_models_and_run_again(comfyui: Comfy) -> None:
    graph = Graph()
    node = interrogate(graph)
    first = comfyui.run(graph.prompt)
    comfyui.unload_models()
    until = time.monotonic() + RUN_SECONDS
    while node in served_from_cache(second := comfyui.run(graph.prompt)):
        assert time.monotonic() < until, "nothing was unloaded"
        time.sleep(0.2)
    assert shown(first, node) == shown(second, node)
