"""The front end with our nodes, in both of its renderers."""

from __future__ import annotations

import json
from typing import Any

from .browser import Browser
from .graphs import Graph, mode
from .server import shown

_BOX = ".interrogator-box"
_OPTIONS = {
    "precise": {"max_phrases", "strictness"},
    "best": {"min_phrases", "max_phrases", "beams", "avoid_repeats"},
    "fast": {"max_phrases", "avoid_repeats"},
    "classic": {"max_phrases"},
    "caption": set(),
    "negative": {"max_phrases", "strictness"},
}


def interrogate(count: int = 1, chosen: str = "fast") -> tuple[dict[str, Any], str]:
    """A prompt with Interrogate Image over a batch, and the id of that node."""
    graph = Graph()
    node = graph.add(
        "InterrogatorImage", image=graph.image(count), preset="demo", artists="all", negative=False, download=False,
        escape=True, **mode(chosen),
    )  # fmt: skip
    return graph.prompt, node


def in_box(browser: Browser, part: str) -> list[str]:
    """The words in parts of the result boxes on the canvas."""
    script = "(selector) => [...document.querySelectorAll(selector)].map((found) => found.textContent)"
    words: list[str] = browser.ask(script, f"{_BOX} {part}")
    return words


def our_errors(browser: Browser) -> list[str]:
    return [error for error in browser.errors if "interrogator" in error.lower()]


class TestResultBox:
    def test_says_that_nothing_has_run(self, browser: Browser) -> None:
        browser.load_prompt(interrogate()[0])
        browser.shot(f"{browser.name}-before")
        assert len(in_box(browser, ".interrogator-hint")) == 1
        assert our_errors(browser) == []

    def test_shows_every_image_of_a_run_and_keeps_it(self, browser: Browser) -> None:
        prompt, node = interrogate(3)
        browser.load_prompt(prompt)
        prompts = shown(browser.run(), node)
        browser.shot(f"{browser.name}-after")
        assert in_box(browser, ".interrogator-text") == prompts[:1]
        assert in_box(browser, ".interrogator-position") == ["1 / 3"]
        browser.ask("(selector) => document.querySelector(selector).click()", f"{_BOX} .interrogator-next")
        assert in_box(browser, ".interrogator-text") == prompts[1:2]

        workflow = browser.saved()
        browser.reload()
        browser.load(workflow)
        browser.shot(f"{browser.name}-reloaded")
        assert in_box(browser, ".interrogator-text") == prompts[:1]
        assert our_errors(browser) == []

    def test_stays_out_of_the_prompt_and_of_the_widgets(self, browser: Browser) -> None:
        prompt, node = interrogate()
        browser.load_prompt(prompt)
        before = _saved_node(browser, node)["widgets_values"]
        text = shown(browser.run(), node)[0]
        after = _saved_node(browser, node)["widgets_values"]
        assert before == after
        sent = _sent(browser)
        assert text not in json.dumps(sent, ensure_ascii=False)
        assert sent[node]["inputs"].keys() == prompt[node]["inputs"].keys() | {
            "mode.max_phrases", "mode.avoid_repeats"
        }  # fmt: skip


def test_a_mode_brings_its_own_options(browser: Browser) -> None:
    prompt, node = interrogate()
    browser.load_prompt(prompt)
    for chosen, options in _OPTIONS.items():
        browser.ask(
            """([node, mode]) => {
                const widget = window.app.graph.getNodeById(node).widgets.find(({ name }) => name === "mode");
                widget.value = mode;
                widget.callback?.(mode);
            }""",
            [node, chosen],
        )
        sent = _sent(browser)[node]["inputs"]
        assert sent["mode"] == chosen
        assert {name.removeprefix("mode.") for name in sent if name.startswith("mode.")} == options


def _sent(browser: Browser) -> dict[str, Any]:
    """What Run would send."""
    prompt: dict[str, Any] = browser.ask("async () => (await window.app.graphToPrompt()).output")
    return prompt


def _saved_node(browser: Browser, node: str) -> dict[str, Any]:
    found: dict[str, Any] = next(saved for saved in browser.saved()["nodes"] if str(saved["id"]) == node)
    return found
