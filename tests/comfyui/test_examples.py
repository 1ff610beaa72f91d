"""What the pack ships to look at and to start from: example workflows and a subgraph blueprint."""

from __future__ import annotations

import json
import os
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from interrogator import demo
from tests.library.small_server import serving

from . import pack
from .browser import Browser, opened
from .server import Comfy, shown

EXAMPLES = pack.names("example_workflows", "*.json")
BLUEPRINTS = pack.names("subgraphs", "*.json")

# Examples ask for models that are to be downloaded; here is what comes with the package.
_DEMO_MODELS = {
    "InterrogatorImage": {"preset": "demo"},
    "InterrogatorLoadCaptioner": {"model": "demo"},
    "InterrogatorLoadTagger": {"model": "demo"},
    "InterrogatorLoadEncoder": {"model": "demo"},
    "InterrogatorDataset": {"preset": "demo"},
}
# The loaders of what no test machine has.
_WEIGHTS = ("CheckpointLoader", "UNETLoader", "CLIPLoader", "DualCLIPLoader", "VAELoader")
_SAVED_BATCH = 2


@pytest.fixture(scope="module", autouse=True)
def pictures(comfyui: Comfy) -> None:
    """The pictures that the examples name: the one that comes with ComfyUI, and a folder of the user's own."""
    inputs = comfyui.base_dir / "input"
    demo.creature(3)[0].save(inputs / "example.png")
    for folder in ("my_pictures", "my_dataset"):
        (inputs / folder).mkdir()
        for seed in range(_SAVED_BATCH):
            demo.creature(seed)[0].save(inputs / folder / f"{seed}.png")


@pytest.fixture(scope="module", params=[False, True], ids=["canvas", "nodes2"])
def page(
    request: pytest.FixtureRequest, comfyui: Comfy, pictures: None, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[Browser]:
    """The front end, loaded once with each renderer: every test puts a graph of its own on the canvas."""
    shots = Path(os.environ.get("COMFYUI_SHOTS") or tmp_path_factory.mktemp("shots"))
    with opened(comfyui, vue_nodes=request.param, shots=shots) as browser:
        yield browser


@pytest.fixture
def browser(page: Browser) -> Browser:
    """The front end; the errors of loading itself, which are about itself, are forgotten."""
    page.errors.clear()
    return page


@pytest.mark.parametrize("name", EXAMPLES)
class TestExample:
    def test_is_served_with_a_picture(self, comfyui: Comfy, name: str) -> None:
        assert name in comfyui.get("/workflow_templates")[pack.NAME]
        served = f"/api/workflow_templates/{pack.NAME}/{name}"
        assert json.loads(comfyui.get_bytes(f"{served}.json")) == _file("example_workflows", name)
        assert comfyui.get_bytes(f"{served}.jpg").startswith(b"\xff\xd8")

    def test_opens_as_it_was_saved(self, browser: Browser, name: str) -> None:
        workflow = _file("example_workflows", name)
        browser.load(workflow)
        browser.shot(f"{browser.name}-{name}")
        assert browser.errors == []
        assert _unknown_nodes(browser) == []
        opened = browser.saved()
        assert _links(opened) == _links(workflow)
        assert _our_values(opened) == _our_values(workflow)

    def test_runs(self, browser: Browser, name: str) -> None:
        prompt = browser.api_prompt(_file("example_workflows", name))
        with serving() as server:
            told = _run_with_demo_models(browser.comfy, prompt, server.base)
        assert told, "no node showed anything"
        for node, texts in told.items():
            assert texts and all(texts), f"{prompt[node]['class_type']} showed nothing"


def test_an_example_writes_captions_beside_copies_of_the_pictures(browser: Browser) -> None:
    _run_with_demo_models(browser.comfy, browser.api_prompt(_file("example_workflows", "caption_a_batch_and_save")))
    saved = list((browser.comfy.base_dir / "output" / "captioned").glob("*.png"))
    assert len(saved) == _SAVED_BATCH
    captions = [picture.with_suffix(".txt").read_text(encoding="utf-8") for picture in saved]
    assert all(" of a " in caption for caption in captions) and len(set(captions)) == _SAVED_BATCH


def test_an_example_makes_both_prompts(browser: Browser) -> None:
    """The switch for negative prompts is on, and both go to text encoders."""
    prompt = browser.api_prompt(_file("example_workflows", "image_to_prompt_to_image"))
    (node,) = (key for key, entry in prompt.items() if entry["class_type"] == "InterrogatorImage")
    encoded = [entry["inputs"]["text"] for entry in prompt.values() if entry["class_type"] == "CLIPTextEncode"]
    assert sorted(encoded) == [[node, 0], [node, 2]]
    assert prompt[node]["inputs"]["negative"] is True


@pytest.mark.parametrize("name", BLUEPRINTS)
class TestBlueprint:
    def test_is_served(self, comfyui: Comfy, name: str) -> None:
        served = comfyui.get("/global_subgraphs")
        (key,) = (key for key, told in served.items() if told["name"] == name)
        assert pack.NAME in served[key]["info"]["node_pack"]
        assert json.loads(comfyui.get(f"/global_subgraphs/{key}")["data"]) == _file("subgraphs", name)

    def test_becomes_a_prompt_and_runs(self, browser: Browser, name: str) -> None:
        browser.load(_file("subgraphs", name))
        browser.ask(
            """() => {
                const [subgraph] = window.app.graph.nodes;
                const picture = window.LiteGraph.createNode("LoadImage");
                window.app.graph.add(picture);
                picture.widgets.find(({ name }) => name === "image").value = "example.png";
                picture.connect(0, subgraph, subgraph.inputs.findIndex(({ type }) => type === "IMAGE"));
            }"""
        )
        prompt = browser.ask("async () => (await window.app.graphToPrompt()).output")
        browser.shot(f"{browser.name}-blueprint")
        assert browser.errors == []
        assert _unknown_nodes(browser) == []
        told = _run_with_demo_models(browser.comfy, prompt)
        assert told and all(all(texts) for texts in told.values())

    def test_stands_in_the_node_library(self, browser: Browser, name: str) -> None:
        browser.load({"nodes": [], "links": [], "version": 0.4})
        assert name not in browser.text()
        browser.page.keyboard.press("n")
        browser.page.locator("input[placeholder*='earch']").first.fill(name)
        browser.wait_until(lambda: name in browser.text(), "finding the blueprint")
        browser.shot(f"{browser.name}-library")


def _file(folder: str, name: str) -> dict[str, Any]:
    workflow: dict[str, Any] = json.loads((pack.ROOT / folder / f"{name}.json").read_text(encoding="utf-8"))
    return workflow


def _unknown_nodes(browser: Browser) -> list[str]:
    """The types of nodes on the canvas that the front end does not know."""
    script = """() => window.app.graph.nodes.filter((node) => !node.isSubgraphNode?.())
        .map((node) => node.type).filter((type) => !(type in window.LiteGraph.registered_node_types))"""
    types: list[str] = browser.ask(script)
    return types


def _links(workflow: dict[str, Any]) -> list[list[Any]]:
    """From where to where: node and place, node and place."""
    return sorted(link[1:5] for link in workflow["links"])


def _our_values(workflow: dict[str, Any]) -> dict[int, Any]:
    """The values of our nodes' widgets. Those of ComfyUI's own differ between its versions."""
    ours = (node for node in workflow["nodes"] if node["type"] in pack.NODES)
    return {node["id"]: node.get("widgets_values") for node in ours}


def _run_with_demo_models(comfy: Comfy, prompt: dict[str, Any], server: str = "") -> dict[str, list[Any]]:
    """Run what needs no weights of others; what the nodes that show text have shown, by node.

    server: the address of captioners at an endpoint.
    """
    for entry in prompt.values():
        inputs = entry["inputs"]
        inputs.update(_DEMO_MODELS.get(entry["class_type"], {}))
        if entry["class_type"] == "InterrogatorEndpoint":
            inputs["address"] = server
        captioner = inputs.get("captioner")
        if captioner and prompt[captioner[0]]["class_type"] == "InterrogatorLoadCaptioner" and "ask" in inputs:
            inputs["ask"] = ""  # the demo's captioner follows no question
    without = set(_after_weights(prompt))
    kept = {node: entry for node, entry in prompt.items() if node not in without}
    assert not any(prompt[node]["class_type"] in pack.NODES for node in without)
    entry = comfy.run(kept)
    return {node: shown(entry, node) for node, told in entry["outputs"].items() if "text" in told}


def _after_weights(prompt: dict[str, Any]) -> Iterator[str]:
    """The nodes that load weights, and all that hangs on them."""

    def needs_weights(node: str) -> bool:
        entry = prompt[node]
        links = (value for value in entry["inputs"].values() if isinstance(value, list))
        return entry["class_type"].startswith(_WEIGHTS) or any(needs_weights(link[0]) for link in links)

    return filter(needs_weights, prompt)
