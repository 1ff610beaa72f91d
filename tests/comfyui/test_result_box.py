"""The box on our nodes that shows what a run found, in both renderers."""

from __future__ import annotations

from typing import Any

import pytest

from .browser import Browser
from .graphs import Graph, mode
from .server import shown

_HOSTILE = "<img src=x onerror=\"document.title='broken'\">"


def result(**changes: Any) -> dict[str, Any]:
    """One entry of what a node sends to its box."""
    nothing = {
        "text": "",
        "caption": "",
        "negative": "",
        "similarity": None,
        "phrases": [],
        "full": None,
        "remarks": [],
    }
    return {**nothing, **changes}


def phrase(text: str, similarity: float, bank: str = "flavors") -> dict[str, Any]:
    return {"text": text, "bank": bank, "similarity": similarity}


def add_node(browser: Browser, kind: str = "InterrogatorImage") -> None:
    """An empty graph with one of our nodes."""
    browser.ask(
        """(kind) => {
            window.app.graph.clear();
            const node = window.LiteGraph.createNode(kind);
            node.pos = [300, 150];
            window.app.graph.add(node);
            window.app.canvas.ds.reset();
        }""",
        kind,
    )
    browser.page.wait_for_timeout(500)


def execute(browser: Browser, results: list[dict[str, Any]]) -> None:
    """What happens at the end of a run of that node."""
    browser.ask("(results) => window.app.graph.nodes[0].onExecuted({ interrogator: results })", results)
    browser.page.wait_for_timeout(500)


def words(browser: Browser, part: str) -> list[str]:
    script = "(selector) => [...document.querySelectorAll(selector)].map((found) => found.innerText.trim())"
    found: list[str] = browser.ask(script, f".interrogator-box {part}")
    return found


def kept(browser: Browser, place: int = 0) -> Any:
    """What a node carries in the workflow."""
    return browser.saved()["nodes"][place]["properties"].get("interrogator")


class TestContent:
    def test_every_part_of_a_result_is_there(self, browser: Browser) -> None:
        add_node(browser)
        phrases = [phrase("soft light", 0.2), phrase("oil on canvas", 0.25, "mediums"), phrase("fog", -0.05)]
        execute(browser, [result(text="a cat", caption="cat", negative="a dog", similarity=0.2812, phrases=phrases)])
        browser.shot(f"{browser.name}-box")
        assert words(browser, ".interrogator-text") == ["a cat"]
        assert words(browser, ".interrogator-page .interrogator-line") == ["Caption cat", "Negative a dog"]
        assert words(browser, ".interrogator-similarity") == ["Similarity 0.281"]
        assert words(browser, ".interrogator-page .interrogator-bank") == ["flavors", "mediums", "flavors"]
        assert words(browser, ".interrogator-number") == ["0.200", "0.250", "-0.050"]
        widths = browser.ask("() => [...document.querySelectorAll('.interrogator-fill')].map((bar) => bar.style.width)")
        assert widths == ["80%", "100%", "0%"]
        assert words(browser, ".interrogator-pager") == []

    def test_words_are_never_markup(self, browser: Browser) -> None:
        add_node(browser)
        execute(browser, [result(text=_HOSTILE, caption=_HOSTILE + "!", phrases=[phrase(_HOSTILE, 0.1, _HOSTILE)])])
        assert words(browser, ".interrogator-text") == [_HOSTILE]
        assert browser.ask("() => document.querySelectorAll('.interrogator-box img').length") == 0
        assert browser.ask("() => document.title") != "broken"

    def test_a_ranking_is_not_told_twice(self, browser: Browser) -> None:
        add_node(browser)
        execute(browser, [result(text="fog\nrain", phrases=[phrase("fog", 0.2), phrase("rain", 0.1)])])
        assert words(browser, ".interrogator-text") == []
        assert words(browser, ".interrogator-phrase") == ["fog", "rain"]
        assert words(browser, ".interrogator-copy") == ["Copy"]

    def test_a_long_prompt_scrolls_inside(self, browser: Browser) -> None:
        add_node(browser)
        execute(browser, [result(text="short")])
        height = browser.saved()["nodes"][0]["size"][1]
        execute(browser, [result(text="word " * 2000)])
        assert browser.saved()["nodes"][0]["size"][1] == height
        assert browser.ask(
            "() => { const page = document.querySelector('.interrogator-page');"
            " return page.scrollHeight > page.clientHeight }"
        )

    def test_tags_have_bars_of_their_probability_and_remarks_are_sentences(self, browser: Browser) -> None:
        add_node(browser, "InterrogatorTag")
        tags = [phrase("1girl", 0.9, "general"), phrase("long hair", 0.45, "general")]
        execute(browser, [result(text="1girl, long hair", phrases=tags, full=1.0, remarks=["no_tags", "cut", "other"])])
        browser.shot(f"{browser.name}-tags")
        widths = browser.ask("() => [...document.querySelectorAll('.interrogator-fill')].map((bar) => bar.style.width)")
        assert widths == ["90%", "45%"]
        assert [note.split()[0:2] for note in words(browser, ".interrogator-page .interrogator-note")] == [
            ["No", "tag"],
            ["The", "last"],
        ]


class TestPager:
    def test_turns_to_every_image_and_stops_at_the_ends(self, browser: Browser) -> None:
        add_node(browser)
        execute(browser, [result(text=text) for text in ("first", "second", "third")])
        assert words(browser, ".interrogator-position") == ["1 / 3"]
        assert browser.page.get_by_role("button", name="Previous image").is_disabled()
        browser.page.get_by_role("button", name="Next image").click()
        assert words(browser, ".interrogator-text") == ["second"]
        # With the keyboard: the button that was pressed still has the focus.
        browser.page.keyboard.press("Enter")
        assert words(browser, ".interrogator-text") == ["third"]
        assert browser.page.get_by_role("button", name="Next image").is_disabled()
        browser.page.keyboard.press("Enter")
        assert words(browser, ".interrogator-position") == ["2 / 3"]


class TestCopyButton:
    @pytest.mark.parametrize("is_allowed", [True, False], ids=["allowed", "not_allowed"])
    def test_copies_the_text_of_the_image_shown(self, browser: Browser, is_allowed: bool) -> None:
        add_node(browser)
        execute(browser, [result(text="first"), result(text="second")])
        browser.page.get_by_role("button", name="Next image").click()
        browser.ask(
            """(isAllowed) => {
                window.copied = [];
                const clipboard = { writeText: async (text) => window.copied.push(text) };
                Object.defineProperty(navigator, "clipboard", { value: isAllowed ? clipboard : undefined });
                document.addEventListener("copy", () => window.copied.push(document.activeElement.value), true);
            }""",
            is_allowed,
        )
        browser.page.get_by_role("button", name="Copy", exact=True).click()
        browser.page.wait_for_timeout(200)
        assert words(browser, ".interrogator-copy") == ["Copied"]
        assert browser.ask("() => window.copied") == ["second"]
        browser.page.wait_for_timeout(1800)
        assert words(browser, ".interrogator-copy") == ["Copy"]


class TestKeeping:
    def test_a_result_is_there_again_after_a_reload(self, browser: Browser) -> None:
        graph = Graph()
        node = graph.add(
            "InterrogatorImage", image=graph.image(), preset="demo", artists="all", negative=False, download=False,
            escape=True, **mode("fast"),
        )  # fmt: skip
        browser.load_prompt(graph.prompt)
        prompts = shown(browser.run(), node)
        browser.reload()
        # The front end brings back the workflow that was open, with nothing done to it since the run.
        assert words(browser, ".interrogator-text") == prompts

    def test_a_copy_has_its_own_result(self, browser: Browser) -> None:
        add_node(browser)
        execute(browser, [result(text="before")])
        browser.ask(
            """() => {
                const { graph, canvas } = window.app;
                canvas.selectNode(graph.nodes[0]);
                canvas.copyToClipboard();
                canvas.pasteFromClipboard({ position: [900, 150] });
            }"""
        )
        execute(browser, [result(text="after")])
        assert kept(browser, 0)["results"][0]["text"] == "after"
        assert kept(browser, 1)["results"][0]["text"] == "before"
        assert sorted(words(browser, ".interrogator-text")) == ["after", "before"]

    def test_a_subgraph_takes_its_result_along(self, browser: Browser) -> None:
        add_node(browser)
        execute(browser, [result(text="inside")])
        browser.ask(
            """() => {
                const { graph, canvas } = window.app;
                const { node } = graph.convertToSubgraph(new Set([graph.nodes[0]]));
                canvas.openSubgraph(node.subgraph, node);
            }"""
        )
        browser.wait_until(lambda: words(browser, ".interrogator-text") == ["inside"], "opening the subgraph", 10)

    def test_a_workflow_carries_no_more_than_it_should(self, browser: Browser) -> None:
        add_node(browser)
        phrases = [phrase(f"phrase {number}", 0.123456) for number in range(70)]
        execute(browser, [result(text="x" * 40_000, phrases=phrases)] * 105)
        found = kept(browser)
        assert (found["count"], len(found["results"])) == (105, 100)
        assert (len(found["results"][0]["text"]), len(found["results"][0]["phrases"])) == (32_000, 64)
        assert found["results"][0]["phrases"][0]["similarity"] == 0.1235
        assert words(browser, ".interrogator-page .interrogator-note") == [
            "Bars of the first 64 of 70; the outputs have all.",
            "Only the first 100 of 105 images are kept here.",
        ]

    def test_a_strange_workflow_does_no_harm(self, browser: Browser) -> None:
        add_node(browser)
        execute(browser, [result(text="before")])
        workflow = browser.saved()
        entries = [None, 3, {"text": 5, "phrases": [None, {"similarity": "x"}]}, result(text="after")]
        for strange in (7, "text", [], {}, {"results": "text"}, {"count": "x", "results": entries}):
            workflow["nodes"][0]["properties"]["interrogator"] = strange
            browser.load(workflow)
            assert browser.ask("() => document.querySelectorAll('.interrogator-box').length") == 1
        assert words(browser, ".interrogator-position") == ["1 / 4"]
        assert [error for error in browser.errors if "interrogator" in error.lower()] == []


class TestManyImages:
    def test_each_of_thirty_images_is_one_click_away(self, browser: Browser) -> None:
        add_node(browser)
        execute(browser, [result(text=f"text {number}") for number in range(1, 31)])
        browser.page.get_by_role("button", name="Image 29", exact=True).click()
        browser.shot(f"{browser.name}-thirty")
        assert words(browser, ".interrogator-text") == ["text 29"]
        assert words(browser, ".interrogator-position") == ["29 / 30"]

    def test_a_page_says_which_file_it_is_of_and_shows_it(self, browser: Browser) -> None:
        graph = Graph()
        graph.add(
            "InterrogatorImage", image=graph.image(3), preset="demo", artists="all", negative=False, download=False,
            escape=True, **mode("fast"),
        )  # fmt: skip
        browser.load_prompt(graph.prompt)
        browser.run()
        browser.shot(f"{browser.name}-files")
        assert words(browser, ".interrogator-title") == ["creature-0.png"]
        loaded = "() => [...document.querySelectorAll('.interrogator-thumbnail')].map((it) => it.naturalWidth > 0)"
        browser.wait_until(lambda: browser.ask(loaded) == [True] * 3, "loading the small pictures", 30)
        browser.page.locator(".interrogator-jump[title='creature-2.png']").click()
        assert words(browser, ".interrogator-title") == ["creature-2.png"]


def test_bars_and_captions_that_were_cut_are_said(browser: Browser) -> None:
    add_node(browser, "InterrogatorRank")
    phrases = [phrase(f"phrase {number}", 0.2) for number in range(64)]
    text = "\n".join(f"phrase {number}" for number in range(1000))
    execute(browser, [result(text=text, phrases=phrases, phrase_count=1000, remarks=["shortened"])])
    first, second = words(browser, ".interrogator-page .interrogator-note")
    assert "longer than the CLIP model can read" in first and "64 of 1000" in second
    assert words(browser, ".interrogator-text") == []


def test_of_phrases_the_image_lacks_the_most_unlike_fills_the_bar(browser: Browser) -> None:
    add_node(browser, "InterrogatorNegative")
    execute(browser, [result(text="x", is_negative=True, phrases=[phrase("oil", 0.3), phrase("ink", 0.1)])])
    widths = browser.ask("() => [...document.querySelectorAll('.interrogator-fill')].map((bar) => bar.style.width)")
    assert widths == ["0%", "100%"]
