"""Caption Dataset Folder: what it shows on the node, and its report in the browser, in both renderers."""

from __future__ import annotations

import urllib.error
import urllib.request
from pathlib import Path
from typing import Any

import pytest

from .browser import Browser
from .graphs import Graph
from .server import Comfy

_HOSTILE = "<img src=x onerror=document.title='broken'>.png"


@pytest.fixture
def folder(comfyui: Comfy, tmp_path: Path) -> Path:
    """Two creatures and a file that is no picture in a folder elsewhere, linked into the input folder."""
    creatures = sorted((comfyui.base_dir / "input").glob("creature-*.png"))[:2]
    for picture in creatures:
        (tmp_path / picture.name).write_bytes(picture.read_bytes())
    (tmp_path / _HOSTILE).write_text("</script><script>document.title='broken'</script>", encoding="utf-8")
    link = comfyui.base_dir / "input" / f"my {tmp_path.name}"
    if link.is_symlink():
        link.unlink()
    link.symlink_to(tmp_path, target_is_directory=True)
    return link


def graph_of(folder: Path, **changes: Any) -> Graph:
    graph = Graph()
    inputs = {
        "place": "input", "folder": folder.name, "preset": "demo", "mode": "caption", "quality": "greedy",
        "trigger": "", "template": "{prompt}", "existing": "skip", "target": "txt", "retry_failed": False,
        "download": False, "memory": "keep", "again": False,
    }  # fmt: skip
    graph.add("InterrogatorDataset", **{**inputs, **changes})
    return graph


def words(browser: Browser, part: str) -> str:
    found: list[str] = browser.ask(
        "(selector) => [...document.querySelectorAll(selector)].map((found) => found.innerText.trim())",
        f".interrogator-box {part}",
    )
    return " ".join(found)


def turn(browser: Browser) -> None:
    browser.ask("() => document.querySelector('.interrogator-next').click()")
    browser.page.wait_for_timeout(300)


def test_the_node_shows_the_run_what_failed_and_the_captions(browser: Browser, folder: Path) -> None:
    browser.load_prompt(graph_of(folder).prompt)
    browser.run()
    assert words(browser, ".interrogator-title") == folder.name
    assert words(browser, ".interrogator-text").startswith("2 captioned, 0 kept, 1 failed, of 3 pictures.")
    assert _HOSTILE in words(browser, ".interrogator-text")
    browser.shot(f"{browser.name}-dataset")
    turn(browser)
    assert words(browser, ".interrogator-title") == _HOSTILE and words(browser, ".interrogator-failure")
    browser.shot(f"{browser.name}-dataset-failed")
    turn(browser)
    name = words(browser, ".interrogator-title")
    written = (folder / name).with_suffix(".txt").read_text(encoding="utf-8").strip()
    assert words(browser, ".interrogator-text") == written
    assert browser.ask("() => document.querySelectorAll('.interrogator-box img[onerror]').length") == 0


def test_the_report_opens_in_the_browser_and_runs_no_script_but_its_own(browser: Browser, folder: Path) -> None:
    browser.load_prompt(graph_of(folder).prompt)
    browser.run()
    address = browser.ask("() => document.querySelector('a.interrogator-report').href")
    assert address.startswith(browser.comfy.base_url + "/")
    with browser.page.context.expect_page() as opened:
        browser.ask("() => document.querySelector('a.interrogator-report').click()")
    report = opened.value
    report.wait_for_selector("#pictures li")
    report.screenshot(path=browser.shots / f"{browser.name}-report.png")
    assert report.url == address and report.title() != "broken"
    assert report.locator("#pictures > li").count() == 3
    assert "2" in report.inner_text("#counts") and _HOSTILE in report.inner_text("#pictures")
    assert report.locator("#pictures img").count() == 2
    loaded = "() => [...document.querySelectorAll('#pictures img')].every((each) => each.naturalWidth > 0)"
    assert report.evaluate(loaded)
    # Neither the graph's page nor the server is within its reach.
    assert report.evaluate("() => window.opener") is None
    blocked = "async () => { try { await fetch('/queue'); return 'reached' } catch { return 'blocked' } }"
    assert report.evaluate(blocked) == "blocked"
    report.close()


def test_the_server_gives_out_nothing_but_reports(browser: Browser, folder: Path) -> None:
    browser.load_prompt(graph_of(folder).prompt)
    browser.run()
    address = browser.ask("() => document.querySelector('a.interrogator-report').href")
    assert status_of(address) == 200
    run = address.removesuffix("report.html")
    for other in (
        run + "run.json", run + "../../creature-0.png", run + "..%2F..%2Fcreature-0.png", run + "%2e%2e/run.json",
        address.replace("/report/input/", "/report/output/"), address.replace("/report/input/", "/report/models/"),
        address.replace(folder.name.replace(" ", "%20"), "..%2Finput%2Fmy"), run[:-2] + "/report.html",
    ):  # fmt: skip
        assert status_of(other) == 404, other


def status_of(address: str) -> int:
    try:
        with urllib.request.urlopen(address, timeout=60) as answer:
            return int(answer.status)
    except urllib.error.HTTPError as error:
        return error.code
