"""What ComfyUI ran, as nodes: from the graph that it executed, or from the workflow as it stood on the canvas."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import Any

# Larger graphs, of which none is known, are not looked at.
_MOST_NODES = 10_000
_MUTED, _BYPASSED = 2, 4
_AFTER_SEED = frozenset({"fixed", "increment", "decrement", "randomize"})


@dataclass(frozen=True)
class Link:
    """What an input comes from.

    source: the id of a node; not necessarily one of the graph.
    """

    source: str


@dataclass(frozen=True)
class Node:
    """A node.

    Attributes:
        kind: its class, such as KSampler.
        inputs: those that are strings or links, by name, in order.
    """

    kind: str
    inputs: Mapping[str, str | Link]

    @cached_property
    def links(self) -> dict[str, str]:
        """By name the node that an input comes from."""
        return {name: each.source for name, each in self.inputs.items() if isinstance(each, Link)}


Graph = Mapping[str, Node]
"""Nodes by id."""


def read_graph(text: str) -> Graph:
    """The graph in the JSON of `prompt` or `workflow`; {} where there is none. Raises nothing."""
    try:
        value = json.loads(text)
    except (ValueError, RecursionError):
        return {}
    if not isinstance(value, dict):
        return {}
    if isinstance(value.get("nodes"), list):
        return dict(_of_workflow(value))
    # Both in one object, as some nodes write them into EXIF.
    for name in ("prompt", "workflow"):
        inner = value.get(name)
        if isinstance(inner, str):
            try:
                inner = json.loads(inner)
            except (ValueError, RecursionError):
                continue
        if isinstance(inner, dict) and "class_type" not in inner:
            found = dict(_of_workflow(inner) if isinstance(inner.get("nodes"), list) else _of_prompt(inner))
            if found:
                return found
    return dict(_of_prompt(value))


def _of_prompt(value: Mapping[str, Any]) -> Iterator[tuple[str, Node]]:
    if len(value) > _MOST_NODES:
        return
    for number, node in value.items():
        if not isinstance(node, dict) or not isinstance(node.get("inputs"), dict):
            continue
        known = {name: each if isinstance(each, str) else _link(each) for name, each in node["inputs"].items()}
        inputs = {name: each for name, each in known.items() if each is not None}
        yield number, Node(str(node.get("class_type", "")), inputs)


def _link(value: object) -> Link | None:
    is_link = isinstance(value, list) and len(value) == 2 and isinstance(value[0], (str, int)) and type(value[1]) is int
    return Link(str(value[0])) if is_link and isinstance(value, list) else None


def _of_workflow(value: Mapping[str, Any]) -> Iterator[tuple[str, Node]]:
    nodes, links = value["nodes"], value.get("links")
    if len(nodes) > _MOST_NODES or not isinstance(links, list):
        return
    sources: dict[Any, str] = {}
    for link in links:
        if isinstance(link, list) and len(link) >= 3 and isinstance(link[0], int):
            sources[link[0]] = str(link[1])
        elif isinstance(link, dict) and isinstance(link.get("id"), int):
            sources[link["id"]] = str(link.get("origin_id"))
    for node in nodes:
        if not isinstance(node, dict) or node.get("mode") == _MUTED:
            continue
        inputs = [each for each in _list(node.get("inputs")) if isinstance(each, dict)]
        texts = {} if node.get("mode") == _BYPASSED else dict(_widget_texts(node, inputs))
        known: dict[str, str | Link] = {}
        for each in inputs:
            name, link = str(each.get("name")), each.get("link")
            if isinstance(link, int) and link in sources:
                known[name] = Link(sources[link])
            elif name in texts:
                known[name] = texts[name]
        yield str(node.get("id")), Node(str(node.get("type", "")), {**texts, **known})


def _widget_texts(node: Mapping[str, Any], inputs: Sequence[Mapping[str, Any]]) -> Iterator[tuple[str, str]]:
    """The widgets that hold strings, by the names of the inputs that they belong to; older files name none."""
    values = node.get("widgets_values")
    if isinstance(values, dict):
        yield from ((name, each) for name, each in values.items() if isinstance(each, str))
        return
    names = [each["widget"].get("name") for each in inputs if isinstance(each.get("widget"), dict)]
    known = _list(values)
    if not names:
        strings = [each for each in known if isinstance(each, str)]
        yield from ((f"text_{number}" if number else "text", each) for number, each in enumerate(strings))
        return
    at = 0
    for name in names:
        if at < len(known) and isinstance(known[at], str):
            yield str(name), known[at]
        at += 1
        if "seed" in str(name) and at < len(known) and isinstance(known[at], str) and known[at] in _AFTER_SEED:
            at += 1


def _list(value: object) -> list[Any]:
    return value if isinstance(value, list) else []
