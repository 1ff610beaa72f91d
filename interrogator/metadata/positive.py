"""The positive prompt of a graph: from what is saved to the sampler that began it, and on to the texts behind it."""

from __future__ import annotations

import re
from collections.abc import Sequence

from ..prompts import join
from .graph import Graph, Link, Node
from .markup import MOST_CHARACTERS

# Nodes that save what they are given, and how many of them are followed.
_SAVING = re.compile(r"save|output|websocket", re.IGNORECASE)
_SHOWING = re.compile(r"preview|show", re.IGNORECASE)
_MOST_OUTPUTS = 64
# Between texts that lead to one another.
_MOST_DEPTH = 64

# Inputs that do not lead from a picture to the sampler that began it, and those that lead from there to texts.
_ASIDE = re.compile(r"positive|negative|conditioning|guider|model|clip|vae|control|mask|style|lora", re.IGNORECASE)
_CONDITIONING = re.compile(r"positive|conditioning|guider", re.IGNORECASE)
_NEGATIVE = re.compile(r"neg", re.IGNORECASE)
_NO_TEXT = re.compile(
    r"(?:negative|model|clip|vae|image|pixels|latent|latent_image|samples|mask|control_net|clip_vision|noise|sigmas).*",
    re.IGNORECASE,
)
# What an encoder, or a node between it and a string, calls its text.
_TEXT = re.compile(
    r"(?:text|string|prompt|positive|value|str)(?:_?(?:prompt|positive|[a-z]|\d{1,2}))?|wildcard_text|populated_text"
    r"|clip_[lg]|t5xxl|llama|bert|mt5xl|qwen\w{0,8}|tags|caption",
    re.IGNORECASE,
)
# Where there is one of these, it is what the others came to.
_FINAL = ("populated_text",)
_BETWEEN = ("delimiter", "separator")
# These write or look for a text, which the metadata do not hold, instead of passing one on.
_WRITING = re.compile(r"image|model|clip|pixels", re.IGNORECASE)
_NOTHING = frozenset({"ConditioningZeroOut"})
_ENCODING = re.compile(r"encode|prompt", re.IGNORECASE)


def positive_of(graph: Graph) -> str:
    """The positive prompt; "" where there is none, or where the graph saves pictures of several.

    Of several samplers in a row, the first one's counts, for it lays the picture out. Texts of one encoder (`clip_l`,
    `t5xxl`) and of combined conditionings follow each other, each once.
    """
    texts = _Texts(graph)
    for outputs in (_ending_in(graph, _SAVING), _ending_in(graph, _SHOWING)):
        found = {text for output in outputs if (text := _of_output(graph, texts, output))}
        if found:
            return found.pop() if len(found) == 1 else ""
    return _without_output(graph, texts)


def _ending_in(graph: Graph, kind: re.Pattern[str]) -> list[str]:
    return [each for each, node in graph.items() if node.links and kind.search(node.kind)][:_MOST_OUTPUTS]


def _of_output(graph: Graph, texts: _Texts, output: str) -> str:
    """The prompt of the sampler farthest behind an output that has one."""
    found = ""
    seen, level = {output}, [output]
    while level:
        behind: list[str] = []
        for each in level:
            for name, source in graph[each].links.items():
                if source in graph and source not in seen and not _ASIDE.search(name):
                    seen.add(source)
                    behind.append(source)
        level = behind
        of_level = (text for each in level if (text := texts.of_sampler(graph[each])))
        found = next(of_level, found)
    return found


def _without_output(graph: Graph, texts: _Texts) -> str:
    """Where nothing is saved: what all samplers have in common, else the one text that is not negative."""
    passed = {source for node in graph.values() for name, source in node.links.items() if _CONDITIONING.search(name)}
    samplers = [node for each, node in graph.items() if each not in passed]
    found = {text for node in samplers if (text := texts.of_sampler(node))}
    if not found:
        negative = {source for node in graph.values() for name, source in node.links.items() if "negative" in name}
        encoders = [each for each, node in graph.items() if _ENCODING.search(node.kind) and each not in negative]
        found = {text for each in encoders if (text := texts.of_conditioning(each))}
    return found.pop() if len(found) == 1 else ""


class _Texts:
    """The texts behind nodes, each looked up once; what leads back to itself is nothing."""

    def __init__(self, graph: Graph) -> None:
        self._graph = graph
        self._conditionings: dict[str, str] = {}
        self._strings: dict[str, str] = {}

    def of_sampler(self, node: Node) -> str:
        """What a sampler, or a node that is one inside, is told to draw; "" for other nodes."""
        for name in ("positive", "guider", "conditioning"):
            if name in node.links:
                return self.of_conditioning(node.links[name])
        return ""

    def of_conditioning(self, number: str, depth: int = 0) -> str:
        """The texts behind a conditioning, a guider, or what passes them on."""
        if number in self._conditionings or depth > _MOST_DEPTH:
            return self._conditionings.get(number, "")
        self._conditionings[number] = ""
        node = self._graph.get(number)
        if node is None or node.kind in _NOTHING:
            return ""
        found = self._texts(node, depth)
        if not any(found):
            names = [name for name in node.links if _CONDITIONING.search(name) and not _NEGATIVE.search(name)]
            if not names and not found:  # a reroute or a switch; where there is an empty text, it is the answer
                names = [name for name in node.links if not _NO_TEXT.fullmatch(name)]
            found = [self.of_conditioning(node.links[name], depth + 1) for name in names]
        self._conditionings[number] = _each_once(found)
        return self._conditionings[number]

    def _string(self, number: str, depth: int) -> str:
        """The text that a node gives."""
        if number in self._strings or depth > _MOST_DEPTH:
            return self._strings.get(number, "")
        self._strings[number] = ""
        node = self._graph.get(number)
        if node is None or any(_WRITING.search(name) for name in node.links):
            return ""
        parts = self._texts(node, depth)
        if not parts:
            parts = [self._string(source, depth + 1) for source in [*node.links.values()][:1]]  # a reroute or a switch
        between = next((each for name in _BETWEEN if isinstance(each := node.inputs.get(name), str)), ", ")
        self._strings[number] = between.join(part for part in parts if part)[:MOST_CHARACTERS]
        return self._strings[number]

    def _texts(self, node: Node, depth: int) -> list[str]:
        """The inputs of a node that are its text, in order; "" for one that is not known."""
        names = [name for name in node.inputs if _TEXT.fullmatch(name) and not _NEGATIVE.search(name)]
        found = []
        for name in [name for name in names if name in _FINAL] or names:
            value = node.inputs[name]
            if not isinstance(value, Link):
                found.append(value)
            elif not (_CONDITIONING.search(name) and _encodes(self._graph.get(value.source))):
                found.append(self._string(value.source, depth + 1))
        return found


def _encodes(node: Node | None) -> bool:
    """Whether a node gives a conditioning: then what an input called `positive` gets from it is no text."""
    return node is not None and "clip" in node.links


def _each_once(texts: Sequence[str]) -> str:
    """Texts one after the other, without those that another holds already."""
    kept: list[str] = []
    for text in dict.fromkeys(each.strip(" ,\n") for each in texts if each.strip()):
        if not any(text in other for other in kept):
            kept = [other for other in kept if other not in text] + [text]
    return join(*kept)[:MOST_CHARACTERS]
