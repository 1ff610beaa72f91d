"""Models in memory: let go after a run where a loader says so, and told on the loaders, in both renderers."""

from __future__ import annotations

from typing import Any

from .browser import Browser
from .graphs import Graph, output
from .server import Comfy, shown


def similarity(graph: Graph, memory: str) -> str:
    """A similarity node whose encoder stays, or goes after the run; its id."""
    encoder = output(
        graph.add("InterrogatorLoadEncoder", model="demo", precision="auto", download=False, memory=memory)
    )
    return graph.add("InterrogatorSimilarity", image=graph.image(), encoder=encoder, text="a green crab")


def states(comfyui: Comfy) -> set[str]:
    return {each["state"] for each in comfyui.get("/interrogator/loaded")["models"] if each["role"] == "encoder"}


def line(browser: Browser) -> str:
    """What the loader says."""
    texts: list[str] = browser.ask(
        "() => [...document.querySelectorAll('.interrogator-loaded')].map((line) => line.innerText.trim())"
    )
    return " ".join(texts)


def set_memory(browser: Browser, value: str) -> None:
    browser.ask(
        """(value) => {
            const loader = window.app.graph.nodes.find((node) => node.comfyClass === 'InterrogatorLoadEncoder');
            loader.widgets.find(({ name }) => name === 'memory').value = value;
        }""",
        value,
    )


def test_a_loader_says_where_its_model_is(browser: Browser) -> None:
    graph = Graph()
    node = similarity(graph, "free")
    browser.load_prompt(graph.prompt)
    browser.wait_until(lambda: line(browser) == "Not in memory", "the model of an earlier test to leave")
    first: dict[str, Any] = browser.run()
    browser.wait_until(lambda: states(browser.comfy) == {"freed"}, "freeing the model")
    browser.wait_until(lambda: line(browser) == "Not in memory", "the loader's telling of it")

    set_memory(browser, "keep")
    second = browser.run()
    browser.wait_until(lambda: line(browser).startswith("Loaded on cpu: "), "the loader's telling of it")
    assert "MB, " in line(browser)
    browser.shot(f"{browser.name}-loaded")
    assert shown(first, node) == shown(second, node)

    browser.comfy.unload_models()  # ComfyUI's own button
    browser.wait_until(lambda: line(browser).startswith("Loaded in main memory: "), "unloading")
    browser.reload()
    browser.load_prompt(graph.prompt)
    browser.wait_until(lambda: line(browser).startswith("Loaded in main memory: "), "a new page's telling of it")
    set_memory(browser, "free")
    third = browser.run()
    browser.wait_until(lambda: line(browser) == "Not in memory", "freeing the model again")
    assert shown(first, node) == shown(third, node)
    assert [error for error in browser.errors if "interrogator" in error.lower()] == []
