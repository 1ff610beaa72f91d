"""The settings and the nodes that start with them, in both renderers."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import pytest

from .browser import Browser

_PRESET, _DOWNLOAD = "Interrogator.Preset", "Interrogator.Download"


@pytest.fixture(autouse=True)
def settings(browser: Browser) -> Iterator[None]:
    """Settings that differ from the nodes' own defaults; they outlive a page, so they are put back."""
    _set(browser, "sdxl", True)
    yield
    _set(browser, "sd15", False)


def add(browser: Browser, kind: str = "InterrogatorImage") -> None:
    """What the front end does when the user adds a node."""
    browser.ask(
        """(kind) => {
            window.app.graph.clear();
            window.app.graph.add(window.LiteGraph.createNode(kind));
        }""",
        kind,
    )


def values(browser: Browser, place: int = 0) -> dict[str, Any]:
    """The values of a node's widgets that settings may set."""
    found: dict[str, Any] = browser.ask(
        """(place) => Object.fromEntries(window.app.graph.nodes[place].widgets
            .filter(({ name }) => name === "preset" || name === "download")
            .map(({ name, value }) => [name, value]))""",
        place,
    )
    return found


class TestNewNodes:
    @pytest.mark.parametrize(
        ("kind", "expected"),
        [
            ("InterrogatorImage", {"preset": "sdxl", "download": True}),
            ("InterrogatorLoadCaptioner", {"download": True}),
            ("InterrogatorLoadTagger", {"download": True}),
            ("InterrogatorLoadEncoder", {"download": True}),
        ],
    )
    def test_start_with_the_settings(self, browser: Browser, kind: str, expected: dict[str, Any]) -> None:
        add(browser, kind)
        assert values(browser) == expected
        sent = browser.ask("async () => (await window.app.graphToPrompt()).output")
        (inputs,) = (node["inputs"] for node in sent.values())
        assert {name: inputs[name] for name in expected} == expected

    def test_a_preset_that_the_server_lacks_is_left_out(self, browser: Browser) -> None:
        _set(browser, "from_another_version", False)
        add(browser)
        assert values(browser)["preset"] == "sd15"


class TestNodesOfWorkflows:
    def test_keep_what_was_saved(self, browser: Browser) -> None:
        _set(browser, "sd15", False)
        add(browser)
        workflow = browser.saved()
        _set(browser, "sdxl", True)
        browser.load(workflow)
        assert values(browser) == {"preset": "sd15", "download": False}
        browser.reload()
        assert values(browser) == {"preset": "sd15", "download": False}

    def test_have_their_own_default_where_nothing_was_saved(self, browser: Browser) -> None:
        """A workflow that is older than the widget."""
        add(browser)
        workflow = browser.saved()
        node = workflow["nodes"][0]
        node["widgets_values"] = node["widgets_values"][:1]
        node.pop("widgets_values_named", None)
        browser.load(workflow)
        assert values(browser) == {"preset": "sdxl", "download": False}

    def test_keep_what_an_api_prompt_says(self, browser: Browser) -> None:
        inputs = {"preset": "sd15", "mode": "caption", "download": False}
        browser.load_prompt({"1": {"class_type": "InterrogatorImage", "inputs": inputs}})
        assert values(browser) == {"preset": "sd15", "download": False}

    def test_keep_what_was_copied(self, browser: Browser) -> None:
        _set(browser, "sd15", False)
        add(browser)
        _set(browser, "sdxl", True)
        browser.ask(
            """() => {
                const { graph, canvas } = window.app;
                canvas.selectNode(graph.nodes[0]);
                canvas.copyToClipboard();
                canvas.pasteFromClipboard({ position: [900, 150] });
            }"""
        )
        assert values(browser, 1) == {"preset": "sd15", "download": False}


class TestSettingsPage:
    def test_has_one_section(self, browser: Browser) -> None:
        browser.ask("async () => { await window.app.extensionManager.command.execute('Comfy.ShowSettingsDialog') }")
        browser.page.get_by_text("Interrogator", exact=True).first.click()
        browser.page.wait_for_timeout(500)
        browser.shot(f"{browser.name}-settings")
        words = browser.text()
        assert "Default preset" in words
        assert "Endpoint" in words
        assert "Allow downloads" in words


def _set(browser: Browser, preset: str, download: bool) -> None:
    browser.ask(
        """async (settings) => {
            for (const [id, value] of settings) await window.app.extensionManager.setting.set(id, value);
        }""",
        [[_PRESET, preset], [_DOWNLOAD, download]],
    )
