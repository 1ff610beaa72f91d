"""The report: files on disk, and the page as a browser shows it."""

from __future__ import annotations

import base64
import io
import json
import os
import shutil
import signal
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path
from typing import Any

import pytest
from PIL import Image

from interrogator.dataset.records import Record
from interrogator.dataset.review.findings import find
from interrogator.dataset.review.report import INLINE_PICTURES, PAGE, SUMMARY, write_report

from .waiting import wait_until

CHROMIUM = shutil.which("chromium") or shutil.which("chromium-browser") or shutil.which("google-chrome")
ATTACKS = (
    "</script><script>document.title='owned'</script>",
    "</SCRIPT ><img src=x onerror=\"document.title='owned'\">",
    "<!-- <script> --><svg onload=\"document.title='owned'\">",
    "\u202eright to left \u0627\u0644\u0639\u0631\u0628\u064a\u0629",
    "\U0001f98a \"quoted\" 'single' `back` &amp; $run ${run} \\u003c \u2028",
    "word " * 400,
)
SETTINGS = {"preset": "demo", "versions": {"torch": "2"}, "odd": ["</script>", float("nan")], "path": Path("a")}


def jpeg() -> bytes:
    file = io.BytesIO()
    Image.new("RGB", (16, 16), (200, 30, 30)).save(file, "JPEG")
    return file.getvalue()


PICTURE = jpeg()


def records(count: int) -> list[Record]:
    plain = [
        Record(f"{n:05}.png", "done", caption=f"a cat number {n}", scores={"clip": 0.3 + n % 7 / 100}, tokens=5)
        for n in range(count)
    ]
    hostile = [Record(f"x/{text[:40]}.png", "done", caption=text) for text in ATTACKS]
    failed = Record("broken.jpg", "failed", reason="it ends in the middle")
    review = Record("review.jpg", "done", caption="a cat, perhaps", flags=("review",), scores={"clip": 0.1})
    return [*plain, *hostile, failed, review, Record("odd\udcff.png", "done", caption="an odd name")]


def written(folder: Path, some: list[Record]) -> Path:
    return write_report(folder, some, find(some), SETTINGS, lambda record: PICTURE if record.caption else None)


def test_a_summary_for_machines(tmp_path: Path) -> None:
    written(tmp_path, records(10))
    summary = json.loads((tmp_path / SUMMARY).read_text(encoding="utf-8"))
    assert summary["total"] == 19 and summary["statuses"] == {"done": 18, "kept": 0, "failed": 1}
    assert summary["reasons"] == {"it ends in the middle": 1}
    assert {"failed", "review", "repeats"} <= {finding["id"] for finding in summary["findings"]}
    assert summary["settings"]["versions"] == {"torch": "2"} and summary["settings"]["odd"][1] is None


def test_captions_cannot_end_the_element_they_are_in(tmp_path: Path) -> None:
    text = written(tmp_path, records(3)).read_text(encoding="utf-8")
    assert text.count("</script>") == 3 and "<img" not in text and "<svg" not in text
    assert "http:" not in text and "https:" not in text  # nothing to fetch


def test_a_second_report_replaces_the_first(tmp_path: Path) -> None:
    written(tmp_path, records(INLINE_PICTURES + 1))
    (first,) = tmp_path.glob("report_pictures_*")
    some = records(INLINE_PICTURES + 2)
    written(tmp_path, some)
    (second,) = tmp_path.glob("report_pictures_*")
    assert first != second and len(list(second.rglob("*.jpg"))) == len(some) - 1
    assert written(tmp_path, some) and list(tmp_path.glob("report_pictures_*")) == [second]
    written(tmp_path, records(2))
    assert sorted(path.name for path in tmp_path.iterdir()) == [PAGE, SUMMARY]


def test_what_fails_leaves_the_old_report(tmp_path: Path) -> None:
    written(tmp_path, records(2))
    before = {path.name: path.read_bytes() for path in tmp_path.iterdir()}
    some = records(INLINE_PICTURES)

    def full(record: Record) -> bytes:
        if record.key == "broken.jpg":
            raise OSError("the disk is full")
        return PICTURE

    with pytest.raises(OSError, match="full"):
        write_report(tmp_path, some, find(some), {}, full)
    assert {path.name: path.read_bytes() for path in tmp_path.iterdir()} == before


def test_of_too_many_pictures_the_page_holds_those_that_most_want_a_look(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("interrogator.dataset.review.report.writer.MOST_SHOWN", 30)
    some = records(INLINE_PICTURES)
    asked: list[str] = []

    def thumbnail(record: Record) -> bytes:
        asked.append(record.key)
        return PICTURE

    page = write_report(tmp_path, some, find(some), {}, thumbnail)
    rows = json.loads(page.read_text(encoding="utf-8").partition('id="records">')[2].partition("</script>")[0])
    assert [row["key"] for row in rows[:2]] == ["broken.jpg", "review.jpg"] and len(rows) == 30
    scores = [row["scores"]["clip"] for row in rows[1:] if row.get("scores")]
    assert scores[1:] == sorted(scores[1:]) and max(scores) < 0.31, "of the rest the lowest scores"
    assert sorted(asked) == sorted(row["key"] for row in rows), "no thumbnail is read in vain"
    assert json.loads((tmp_path / SUMMARY).read_text(encoding="utf-8"))["total"] == len(some)


def test_an_empty_run_has_a_report(tmp_path: Path) -> None:
    written(tmp_path, [])
    assert json.loads((tmp_path / SUMMARY).read_text())["findings"] == []


class Browser:
    """A headless Chromium, spoken to through pipes (its DevTools protocol)."""

    def __init__(self, profile: Path) -> None:
        import fcntl  # not on Windows

        assert CHROMIUM
        their_in, self._out = os.pipe()
        self._in, their_out = os.pipe()
        low = [fcntl.fcntl(end, fcntl.F_DUPFD, 20) for end in (their_in, their_out)]  # away from 3 and 4
        actions = [(os.POSIX_SPAWN_DUP2, low[0], 3), (os.POSIX_SPAWN_DUP2, low[1], 4)]
        actions += [(os.POSIX_SPAWN_OPEN, 2, os.devnull, os.O_WRONLY, 0)]
        flags = ["--headless", "--no-sandbox", "--disable-gpu", "--remote-debugging-pipe", "--no-first-run"]
        flags.append("--window-size=1280,9000")  # high enough for pictures that load when they come into view
        argv = [CHROMIUM, *flags, "--disable-background-networking", f"--user-data-dir={profile}", "about:blank"]
        self._process = os.posix_spawn(CHROMIUM, argv, dict(os.environ), file_actions=actions, setpgroup=0)
        for end in (their_in, their_out, *low):
            os.close(end)
        self._buffer = b""
        self._number = 0
        self.events: list[dict[str, Any]] = []
        targets = self._send("Target.getTargets", None)["targetInfos"]
        page = next(target["targetId"] for target in targets if target["type"] == "page")
        self._session = self._send("Target.attachToTarget", None, targetId=page, flatten=True)["sessionId"]
        for domain in ("Page", "Runtime", "Network", "Log"):
            self.send(domain + ".enable")

    def send(self, method: str, **parameters: Any) -> dict[str, Any]:
        """What the page's session answers."""
        return self._send(method, self._session, **parameters)

    def _send(self, method: str, session: str | None, **parameters: Any) -> dict[str, Any]:
        self._number += 1
        message = {"id": self._number, "method": method, "params": parameters}
        if session:
            message["sessionId"] = session
        os.write(self._out, json.dumps(message).encode() + b"\0")
        while True:
            answer = self._read()
            if answer.get("id") == self._number:
                assert "error" not in answer, answer
                return dict(answer["result"])
            self.events.append(answer)

    def _read(self) -> dict[str, Any]:
        while b"\0" not in self._buffer:
            piece = os.read(self._in, 1 << 20)
            assert piece, "the browser is gone"
            self._buffer += piece
        line, self._buffer = self._buffer.split(b"\0", 1)
        return dict(json.loads(line))

    def value(self, expression: str) -> Any:
        """What an expression comes to in the page."""
        answer = self.send("Runtime.evaluate", expression=expression, returnByValue=True, awaitPromise=True)
        assert "exceptionDetails" not in answer, answer
        return answer["result"].get("value")

    def wait(self, expression: str) -> None:
        """Until an expression holds in the page."""
        wait_until(lambda: bool(self.value(expression)), f"{expression} holds")

    def open(self, path: Path) -> None:
        """Show a file."""
        self.events.clear()
        self.send("Page.navigate", url=path.as_uri())
        self.wait("document.readyState === 'complete' && location.protocol === 'file:'")

    def picture(self, path: Path) -> None:
        """What the window shows, as PNG."""
        path.write_bytes(base64.b64decode(self.send("Page.captureScreenshot")["data"]))

    def complaints(self) -> list[dict[str, Any]]:
        """Errors, warnings, and requests for anything but files and data."""
        self.value("0")  # events up to now
        bad = ("Runtime.exceptionThrown", "Log.entryAdded", "Runtime.consoleAPICalled", "Page.javascriptDialogOpening")
        found = [event for event in self.events if event["method"] in bad]
        sent = [event for event in self.events if event["method"] == "Network.requestWillBeSent"]
        return found + [e for e in sent if not e["params"]["request"]["url"].startswith(("file:", "data:"))]

    def close(self) -> None:
        """End it and what it started."""
        with suppress(ProcessLookupError):
            os.killpg(self._process, signal.SIGKILL)
        os.waitpid(self._process, 0)
        os.close(self._in)
        os.close(self._out)


@pytest.fixture(scope="module")
def browser(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Browser]:
    if not CHROMIUM or os.name != "posix":
        pytest.skip("no chromium here to show the report in")
    browser = Browser(tmp_path_factory.mktemp("profile"))
    yield browser
    browser.close()


SHOWN = "document.getElementById('shown').textContent"
CAPTIONS = "[...document.querySelectorAll('.picture .caption')].map((caption) => caption.textContent)"


def choose(name: str, value: str) -> str:
    """Script that fills in a field of the filter as a person does."""
    kind = "input" if name == "text" else "change"
    return (
        f"document.getElementById({name!r}).value = {json.dumps(value)};"
        f"document.getElementById({name!r}).dispatchEvent(new Event({kind!r}, {{bubbles: true}}))"
    )


def test_the_page_shows_captions_as_text(browser: Browser, tmp_path: Path) -> None:
    browser.open(written(tmp_path, records(10)))
    shown = browser.value(CAPTIONS)
    assert set(ATTACKS) <= set(shown)
    assert browser.value("document.title") == "Captions"
    assert browser.value("document.scripts.length") == 1  # the data is read and removed
    browser.wait("[...document.images].every((image) => image.complete)")
    assert browser.value("[...document.images].every((image) => image.naturalWidth === 16)")
    assert browser.value("[...document.images].length") == 18
    assert browser.complaints() == []


def test_the_worst_stand_first(browser: Browser, tmp_path: Path) -> None:
    browser.open(written(tmp_path, records(10)))
    names = browser.value("[...document.querySelectorAll('.picture h3')].map((name) => name.textContent)")
    assert names[:2] == ["broken.jpg", "review.jpg"]
    assert names.index("00000.png") < names.index("00006.png")


def test_the_filter_box(browser: Browser, tmp_path: Path) -> None:
    browser.open(written(tmp_path, records(10)))
    assert browser.value(SHOWN) == "19 pictures"
    browser.value(choose("text", "CAT number 7"))
    browser.wait(f"{SHOWN} === '1 of 19 pictures'")
    assert browser.value(CAPTIONS) == ["a cat number 7"]
    browser.value("document.getElementById('clear').click()")
    browser.wait(f"{SHOWN} === '19 pictures'")
    browser.value(choose("status", "failed"))
    assert browser.value(SHOWN) == "1 of 19 pictures"
    browser.value(choose("status", ""))
    pressed = "document.querySelector('[data-finding=review]')"
    browser.value(f"{pressed}.click()")
    assert browser.value(SHOWN) == "1 of 19 pictures" and browser.value(f"{pressed}.ariaPressed") == "true"
    assert browser.value("document.getElementById('finding').value") == "review"
    browser.value(f"{pressed}.click()")
    browser.value(choose("order", "low:clip"))
    assert browser.value(CAPTIONS)[0] == "a cat, perhaps"
    browser.value("document.querySelector('.more').click()")
    assert browser.value("document.querySelector('.more').ariaExpanded") == "true"
    assert browser.complaints() == []


def test_a_page_of_a_part_says_so(browser: Browser, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    note = "document.getElementById('left-out')"
    browser.open(written(tmp_path, records(10)))
    assert browser.value(f"{note}.hidden")
    monkeypatch.setattr("interrogator.dataset.review.report.writer.MOST_SHOWN", 5)
    browser.open(written(tmp_path, records(10)))
    assert browser.value(f"{note}.checkVisibility()")
    told = browser.value(f"{note}.textContent")
    assert told.startswith("This page shows the 5 pictures that most need a look, out of 19.")
    assert browser.value(SHOWN) == "5 pictures"


def test_duplicates_stand_side_by_side(browser: Browser, tmp_path: Path) -> None:
    same = [Record(f"{n}.png", "done", caption=f"cat {n % 2}", scores={"clip": n / 10}) for n in range(4)]
    browser.open(written(tmp_path, same))
    browser.value("document.querySelector('[data-finding=duplicate_captions]').click()")
    assert browser.value(CAPTIONS) == ["cat 0", "cat 0", "cat 1", "cat 1"]


def test_a_fragment_filters_the_captions_that_have_it(browser: Browser, tmp_path: Path) -> None:
    browser.open(written(tmp_path, [*records(100)]))
    browser.value("document.querySelector('[data-finding=fragment_1]').click()")
    assert browser.value(SHOWN) == "100 of 109 pictures"


def test_many_pictures_are_shown_page_by_page(browser: Browser, tmp_path: Path) -> None:
    browser.open(written(tmp_path, records(600)))
    cards = "document.querySelectorAll('.picture').length"
    assert browser.value(cards) == 60 and browser.value("document.querySelector('.page').textContent") == "Page 1 of 11"
    for _ in range(10):
        browser.value("document.querySelector('[data-step=\"1\"]').click()")
    assert browser.value(cards) == 609 - 10 * 60
    assert browser.value("document.querySelector('[data-step=\"1\"]').disabled")
    browser.wait("document.images[0].complete")
    assert browser.value("document.images[0].naturalWidth") == 16
    assert "report_pictures_" in browser.value("document.images[0].src")
    assert browser.complaints() == []
