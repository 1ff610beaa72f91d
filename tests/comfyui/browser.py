"""ComfyUI's front end in a headless Chromium."""

from __future__ import annotations

import shutil
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest

from .server import RUN_SECONDS, Comfy, succeeded

if TYPE_CHECKING:
    from playwright.sync_api import ConsoleMessage, Page

LOAD_SECONDS = 600.0
_SETTLE_MS = 1500
_WIDTH, _HEIGHT = 1600, 1000
_NAMES = ("chromium", "chromium-browser", "google-chrome", "chrome")
_FLAGS = ("--no-sandbox", "--disable-gpu", "--disable-quic", "--disable-component-update", "--disable-sync")


@dataclass(frozen=True)
class Browser:
    """One page over ComfyUI.

    Attributes:
        name: of the renderer, for the names of pictures.
        errors: what the page's console said of errors, and what nobody caught.
    """

    page: Page
    comfy: Comfy
    name: str
    shots: Path
    errors: list[str]

    def ask(self, script: str, value: Any = None) -> Any:
        """What a JavaScript function answers in the page."""
        return self.page.evaluate(script, value)

    def wait_until(self, condition: Callable[[], bool], what: str, seconds: float = LOAD_SECONDS) -> None:
        """Asked from here: the page's own policy forbids the scripts that would poll inside it."""
        until = time.monotonic() + seconds
        while not condition():
            if time.monotonic() > until:
                self.shot("late")
                raise TimeoutError(f"{what} did not happen within {seconds:.0f} s; errors: {self.errors}")
            self.page.wait_for_timeout(200)

    def reload(self) -> None:
        """Load the page, and wait until a graph can be put into it."""
        self.page.goto(self.comfy.base_url, timeout=LOAD_SECONDS * 1000)
        ready = "() => Boolean(window.app?.graph && window.LiteGraph?.registered_node_types['InterrogatorImage'])"
        self.wait_until(lambda: bool(self.ask(ready)), "loading the front end")
        self._settle()

    def load(self, workflow: dict[str, Any]) -> None:
        """Put a workflow, as saved by the front end, on the canvas."""
        self.ask("async (workflow) => { await window.app.loadGraphData(workflow) }", workflow)
        self._show_all()

    def load_prompt(self, prompt: dict[str, Any]) -> None:
        """Put a prompt in API format on the canvas."""
        self.ask("async (prompt) => { await window.app.loadApiJson(prompt, 'prompt') }", prompt)
        self._show_all()

    def api_prompt(self, workflow: dict[str, Any]) -> dict[str, Any]:
        """A workflow in API format, as the front end would send it."""
        self.load(workflow)
        prompt: dict[str, Any] = self.ask("async () => (await window.app.graphToPrompt()).output")
        return prompt

    def saved(self) -> dict[str, Any]:
        """The workflow on the canvas, as it would be saved."""
        workflow: dict[str, Any] = self.ask("() => JSON.parse(JSON.stringify(window.app.graph.serialize()))")
        return workflow

    def run(self, seconds: float = RUN_SECONDS) -> dict[str, Any]:
        """Press Run; the history entry. Raises as `Comfy.run`."""
        before = set(self.comfy.get("/history"))
        self.ask("async () => { await window.app.queuePrompt(0, 1) }")
        self.wait_until(lambda: bool(set(self.comfy.get("/history")) - before), "the run", seconds)
        entries = self.comfy.get("/history")
        self._settle()
        return succeeded(next(entry for prompt_id, entry in entries.items() if prompt_id not in before))

    def text(self) -> str:
        """All words that stand on the page."""
        return self.page.inner_text("body")

    def shot(self, name: str) -> Path:
        """A picture of the page."""
        self.shots.mkdir(parents=True, exist_ok=True)
        path = self.shots / f"{name}.png"
        self.page.screenshot(path=path)
        return path

    def _settle(self) -> None:
        """The front end draws, and takes in what the server tells it, a moment later."""
        self.page.wait_for_timeout(_SETTLE_MS)

    def _show_all(self) -> None:
        """What lies outside the window is not in the page."""
        self._settle()
        self.ask("async () => { await window.app.extensionManager.command.execute('Comfy.Canvas.FitView') }")
        self._settle()


def _is_ours(told: ConsoleMessage) -> bool:
    """Whether a console message is an error; what the front end asks the hub about its own models is not ours."""
    return told.type == "error" and "huggingface.co" not in told.text


@contextmanager
def opened(comfy: Comfy, vue_nodes: bool, shots: Path) -> Iterator[Browser]:
    """The front end with one of its two renderers, in a profile that nobody used; skips where there is no browser."""
    playwright_api = pytest.importorskip("playwright.sync_api", reason="pip install playwright to run these")
    chromium = next(filter(None, map(shutil.which, _NAMES)), None)
    if chromium is None:
        pytest.skip("install Chromium to run these")
    # Without the first, a dialog lies over the graph.
    comfy.post("/settings", {"Comfy.TutorialCompleted": True, "Comfy.VueNodes.Enabled": vue_nodes})
    with playwright_api.sync_playwright() as playwright:
        program = playwright.chromium.launch(executable_path=chromium, args=list(_FLAGS))
        page = program.new_page(viewport={"width": _WIDTH, "height": _HEIGHT})
        browser = Browser(page, comfy, "nodes2" if vue_nodes else "canvas", shots, errors=[])
        page.on("console", lambda told: browser.errors.append(told.text) if _is_ours(told) else None)
        page.on("pageerror", lambda error: browser.errors.append(str(error)))
        browser.reload()
        yield browser
        program.close()
