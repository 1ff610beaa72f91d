"""What nodes say, and offer, while their models are not on this machine; a hub of our own has one of them."""

from __future__ import annotations

import json
import os
import threading
import urllib.error
import urllib.request
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from tests.library.small_hub import SmallHub, files_of

from . import pack
from .browser import Browser, opened
from .conftest import started
from .graphs import Graph
from .server import Comfy

_BLIP = "Salesforce/blip-image-captioning-base"
_WEIGHTS = f"{_BLIP}/model.safetensors"
_SECONDS = 60.0  # no run or download here is long


class Gated:
    """The hub, with weights that stop half-way as long as `open` is not called."""

    def __init__(self) -> None:
        files = files_of(pack.ROOT / "interrogator" / "demo" / "captioner")
        weights = files["model.safetensors"]
        self._released = threading.Event()
        self.bodies: dict[str, Any] = {}
        self._half = ({"Content-Length": str(len(weights))}, self._pieces(weights))
        self.hub = SmallHub({_BLIP: files}, bodies=self.bodies)

    def _pieces(self, weights: bytes) -> Iterator[bytes]:
        yield weights[: len(weights) // 2]
        self._released.wait()

    def close(self) -> None:
        self.bodies[_WEIGHTS] = self._half

    def open(self) -> None:
        self.bodies.clear()
        self._released.set()


@pytest.fixture(params=[False, True], ids=["canvas", "nodes2"])
def gated(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[tuple[Browser, Gated]]:
    """The front end over a ComfyUI without any models, once with each renderer."""
    gated = Gated()
    with gated.hub:
        comfy = started(tmp_path, gated.hub.address)
        shots = Path(os.environ.get("COMFYUI_SHOTS") or tmp_path)
        with opened(comfy, vue_nodes=request.param, shots=shots) as browser:
            yield browser, gated
        gated.open()
        comfy.stop()


def words(browser: Browser, selector: str) -> list[str]:
    found: list[str] = browser.ask(
        "(selector) => [...document.querySelectorAll(selector)].map((each) => each.textContent)", selector
    )
    return found


def press(browser: Browser, selector: str) -> None:
    browser.page.locator(selector).first.click()


def wait_for(browser: Browser, selector: str, text: str) -> None:
    browser.wait_until(lambda: any(text in each for each in words(browser, selector)), f"{text!r}", _SECONDS)


def widget(browser: Browser, kind: str, name: str) -> Any:
    return browser.ask(
        "([kind, name]) => window.app.graph.nodes.find((node) => node.type === kind)"
        ".widgets.find((widget) => widget.name === name).value",
        [kind, name],
    )


def captioning() -> Graph:
    graph = Graph()
    graph.caption_node(graph.image(), captioner=graph.captioner(_BLIP))
    return graph


def refused(comfy: Comfy, body: bytes, headers: dict[str, str]) -> tuple[int, str]:
    """Status and sentence of a request for a download."""
    request = urllib.request.Request(f"{comfy.base_url}/interrogator/downloads", body, headers)
    with pytest.raises(urllib.error.HTTPError) as told:
        urllib.request.urlopen(request, timeout=_SECONDS)
    return told.value.code, told.value.read().decode()


def test_from_nothing_to_a_caption(gated: tuple[Browser, Gated]) -> None:
    """One user's way: what is missing, a failed run, a download that is cancelled, and the rest of it."""
    browser, hub = gated
    hub.close()
    browser.load_prompt(captioning().prompt)
    # Before anything ran, the loader says what it lacks.
    wait_for(browser, ".interrogator-missing", "1.0 GB to download")
    (said,) = [text for text in words(browser, ".interrogator-missing") if text]
    assert _BLIP in said and "BSD-3-Clause" in said and "models/interrogator/captioners" in said
    browser.shot(f"{browser.name}-missing-loader")

    browser.ask("async () => { await window.app.queuePrompt(0, 1) }")
    browser.wait_until(lambda: "Press Download and run" in browser.text(), "our sentence in a toast", _SECONDS)
    browser.shot(f"{browser.name}-missing-toast")

    press(browser, ".interrogator-download")
    wait_for(browser, ".interrogator-missing", "Downloading: 2 MB of 1.0 GB")
    browser.shot(f"{browser.name}-missing-progress")
    press(browser, ".interrogator-cancel")
    wait_for(browser, ".interrogator-missing", "Stopped at 2 MB of 1.0 GB")
    hub.open()
    press(browser, ".interrogator-download")
    wait_for(browser, ".interrogator-text", "a ")
    wait_for(browser, ".interrogator-disk", "On disk: ")
    assert [text for text in words(browser, ".interrogator-missing") if text] == []
    assert browser.comfy.get("/interrogator/downloads")["status"] == "done"
    browser.shot(f"{browser.name}-missing-downloaded")
    assert [error for error in browser.errors if "interrogator" in error.lower()] == []


def test_the_demo_is_one_click_away(gated: tuple[Browser, Gated]) -> None:
    browser, _ = gated
    graph = Graph()
    graph.add("InterrogatorImage", image=graph.image(), preset="sd15", mode="best")
    browser.load_prompt(graph.prompt)
    wait_for(browser, ".interrogator-missing", "3.6 GB to download")
    assert "know only drawn creatures" in words(browser, ".interrogator-missing")[0]
    browser.shot(f"{browser.name}-missing-preset")
    press(browser, ".interrogator-demo")
    wait_for(browser, ".interrogator-text", ",")
    assert widget(browser, "InterrogatorImage", "preset") == "demo"
    browser.shot(f"{browser.name}-missing-demo")

    # Two loaders that feed one node say the same, and one click serves both.
    graph = Graph()
    graph.add(
        "InterrogatorAdvanced", image=graph.image(), encoder=graph.encoder("ViT-L-14/openai"), banks=graph.banks(),
        captioner=graph.captioner("Salesforce/blip-image-captioning-large"), mode="fast",
    )  # fmt: skip
    browser.load_prompt(graph.prompt)
    browser.wait_until(
        lambda: sum("3.6 GB to download" in text for text in words(browser, ".interrogator-missing")) == 2,
        "both loaders", _SECONDS,
    )  # fmt: skip
    press(browser, ".interrogator-demo")
    wait_for(browser, ".interrogator-text", ",")
    assert widget(browser, "InterrogatorLoadEncoder", "model") == "demo"
    assert widget(browser, "InterrogatorLoadCaptioner", "model") == "demo"


def test_what_is_missing_follows_the_widgets(gated: tuple[Browser, Gated]) -> None:
    browser, _ = gated
    graph = Graph()
    graph.add("InterrogatorImage", image=graph.image(), preset="demo", mode="best")
    browser.load_prompt(graph.prompt)
    assert words(browser, ".interrogator-hint") == ["Run this node to see what it finds."]
    choose = """([name, value]) => {
        const node = window.app.graph.nodes.find((node) => node.type === "InterrogatorImage");
        const widget = node.widgets.find((widget) => widget.name === name);
        widget.value = value;
        widget.callback?.(value);
    }"""
    for name, value, says in (("preset", "sdxl", "12.0 GB"), ("mode", "caption", "1.9 GB"), ("preset", "demo", "")):
        browser.ask(choose, [name, value])
        browser.wait_until(
            lambda says=says: any(says in text for text in words(browser, ".interrogator-missing")) == bool(says),
            f"{name} {value}", _SECONDS,
        )  # fmt: skip


def test_only_our_own_page_may_ask_and_only_for_known_models(gated: tuple[Browser, Gated]) -> None:
    comfy = gated[0].comfy
    known = json.dumps({"models": [{"role": "captioner", "name": _BLIP}]}).encode()
    own = {"Content-Type": "application/json"}
    assert refused(comfy, known, {"Content-Type": "text/plain"})[0] == 403
    assert refused(comfy, known, {**own, "Sec-Fetch-Site": "cross-site"})[0] == 403
    assert refused(comfy, known, {**own, "Sec-Fetch-Site": "same-site"})[0] == 403
    for name in ("maker/other", "https://example.com/model", "../../etc", 7, None, {}):
        status, said = refused(comfy, json.dumps({"models": [{"role": "captioner", "name": name}]}).encode(), own)
        assert status == 400 and "catalog" in said
    for body in (b"", b"[]", b"{}", b'{"models": []}', b'{"models": 3}'):
        assert refused(comfy, body, own)[0] == 400
    assert comfy.get("/interrogator/downloads")["status"] == "none"
