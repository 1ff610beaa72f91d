""" "Interrogate this image" in the context menus of nodes, in both renderers."""

from __future__ import annotations

from typing import Any

from .browser import Browser

_ENTRY = "Interrogate this image"
_MENU = f"window.app.canvas.getNodeMenuOptions(node).filter((entry) => entry?.content === '{_ENTRY}')"


def build(browser: Browser, *kinds: str) -> list[Any]:
    """An empty graph with nodes of these kinds one beside the other; their ids."""
    ids: list[Any] = browser.ask(
        """(kinds) => {
            window.app.graph.clear();
            return kinds.map((kind, place) => {
                const node = window.LiteGraph.createNode(kind);
                node.pos = [place * 500, 100];
                window.app.graph.add(node);
                return node.id;
            });
        }""",
        list(kinds),
    )
    return ids


def connect(browser: Browser, origin: Any, target: Any) -> None:
    script = "([a, b]) => { window.app.graph.getNodeById(a).connect(0, window.app.graph.getNodeById(b), 0) }"
    browser.ask(script, [origin, target])


def entries(browser: Browser, node: Any) -> int:
    """How often our entry stands in a node's menu."""
    count: int = browser.ask(
        f"(id) => {{ const node = window.app.graph.getNodeById(id); return {_MENU}.length }}", node
    )
    return count


def press(browser: Browser, node: Any) -> None:
    browser.ask(f"(id) => {{ const node = window.app.graph.getNodeById(id); {_MENU}[0].callback() }}", node)
    browser.page.wait_for_timeout(500)


def added(browser: Browser) -> list[dict[str, Any]]:
    """The Interrogate Image nodes in the graph that is open, with what feeds their input and where they stand."""
    found: list[dict[str, Any]] = browser.ask(
        """() => window.app.canvas.graph.nodes
            .filter((node) => node.type === "InterrogatorImage")
            .map((node) => ({
                source: node.getInputNode(0)?.id ?? null,
                slot: node.getInputLink(0)?.origin_slot ?? null,
                x: node.pos[0],
                isSelected: node.id in window.app.canvas.selected_nodes,
            }))"""
    )
    return found


class TestMenu:
    def test_is_on_nodes_with_pictures_only(self, browser: Browser) -> None:
        kinds = ["LoadImage", "VAEDecode", "SaveImage", "PreviewImage", "KSampler", "VAEEncode", "InterrogatorRank"]
        ids = build(browser, *kinds)
        assert [entries(browser, node) for node in ids] == [1, 1, 1, 1, 0, 0, 0]

    def test_connects_what_the_node_gives(self, browser: Browser) -> None:
        (loader,) = build(browser, "LoadImage")
        press(browser, loader)
        (node,) = added(browser)
        assert (node["source"], node["slot"], node["isSelected"]) == (loader, 0, True)
        assert node["x"] > 0
        browser.shot(f"{browser.name}-menu-added")

    def test_connects_what_the_node_shows(self, browser: Browser) -> None:
        loader, saver = build(browser, "LoadImage", "SaveImage")
        connect(browser, loader, saver)
        press(browser, saver)
        (node,) = added(browser)
        # Newer versions of Save Image hand the picture on.
        assert node["source"] in (loader, saver)
        assert node["x"] > 500

    def test_connects_what_comes_from_outside_a_subgraph(self, browser: Browser) -> None:
        loader, inner = build(browser, "LoadImage", "PreviewImage")
        connect(browser, loader, inner)
        browser.ask(
            """(id) => {
                const { graph, canvas } = window.app;
                const { node } = graph.convertToSubgraph(new Set([graph.getNodeById(id)]));
                canvas.openSubgraph(node.subgraph, node);
                const inner = node.subgraph.nodes[0];
                // The way of a node that only shows pictures, whatever this version's one gives.
                inner.outputs.length = 0;
                const entries = canvas.getNodeMenuOptions(inner);
                entries.find((entry) => entry?.content === "Interrogate this image").callback();
            }""",
            inner,
        )
        link = browser.ask(
            """() => {
                const node = window.app.canvas.graph.nodes.find((node) => node.type === "InterrogatorImage");
                return node.getInputLink(0).originIsIoNode;
            }"""
        )
        assert link is True

    def test_says_why_it_cannot_connect(self, browser: Browser) -> None:
        (saver,) = build(browser, "PreviewImage")
        browser.ask("(id) => { window.app.graph.getNodeById(id).outputs.length = 0 }", saver)
        press(browser, saver)
        assert added(browser) == []
        assert "There is no image to connect" in browser.text()

    def test_does_not_cover_other_nodes(self, browser: Browser) -> None:
        loader, _ = build(browser, "LoadImage", "PreviewImage")
        press(browser, loader)
        press(browser, loader)
        overlapping = browser.ask(
            """() => window.app.graph.nodes.some((one, place, nodes) => nodes.slice(place + 1).some((other) =>
                one.pos[0] < other.pos[0] + other.size[0] && other.pos[0] < one.pos[0] + one.size[0] &&
                one.pos[1] < other.pos[1] + other.size[1] && other.pos[1] < one.pos[1] + one.size[1]))"""
        )
        assert len(added(browser)) == 2
        assert not overlapping


class TestCommand:
    def test_does_the_same_for_the_selected_node(self, browser: Browser) -> None:
        (loader,) = build(browser, "LoadImage")
        run = "async () => { await window.app.extensionManager.command.execute('Interrogator.InterrogateImage') }"
        browser.ask("() => { window.app.canvas.deselectAll() }")
        browser.ask(run)
        assert added(browser) == []
        browser.ask("(id) => { window.app.canvas.selectNode(window.app.graph.getNodeById(id)) }", loader)
        browser.ask(run)
        assert [node["source"] for node in added(browser)] == [loader]
