"""Prompts without the syntax that generators read: weights, networks, editing, breaks."""

from __future__ import annotations

import re

MOST_CHARACTERS = 20_000
"""Of a prompt, more are left out."""

_NETWORK = re.compile(r"<\w{1,40}:[^<>]{0,400}>|\bembedding:[^\s,()]{1,200}", re.IGNORECASE)
_BREAK = re.compile(r"\b(?:BREAK|AND)\b")
# `[from:to:when]`, `[to:when]`, `[from::when]`, and `[one|other]`; the innermost ones, which hold no brackets.
_EDITING = re.compile(r"(?<!\\)\[([^\[\]:|]{0,400}):(?:([^\[\]:|]{0,400}):)?\s*\d{0,4}\.?\d{0,6}\s*(?<!\\)\]")
_CHOICE = re.compile(r"(?<!\\)([\[{])([^\[\]{}|]{0,400})\|[^\[\]{}]{0,2000}(?<!\\)[\]}]")
_WEIGHT = re.compile(r": ?[+-]?\d{0,4}\.?\d{1,6} ?(?=[)\]}])")
_BRACKET = re.compile(r"(?<!\\)[()\[\]{}]")
_ESCAPE = re.compile(r"\\([()\[\]{}])")
_COMMAS = re.compile(r"(?: ?,)+ ?")


def without_syntax(prompt: str) -> str:
    """A prompt as plain phrases on one line: `(red cat:1.2), [a|b], <lora:x:1> BREAK dog` -> `red cat, a, dog`.

    Emphasis goes with its weight, `[from:to:when]` becomes what it ends as, of choices the first stays, networks and
    embeddings go, BREAK and AND become commas; escaped brackets stay, without their backslash. Takes linear time.
    """
    text = ", ".join(" ".join(line.split()) for line in prompt[:MOST_CHARACTERS].splitlines())
    text = _BREAK.sub(", ", _NETWORK.sub(" ", text))
    text = _CHOICE.sub(r"\2", text)
    text = _EDITING.sub(_ending, text)
    text = _ESCAPE.sub(r"\1", _BRACKET.sub("", _WEIGHT.sub("", text)))
    text = _COMMAS.sub(", ", " ".join(text.split()))
    return text.strip(", ")


def _ending(found: re.Match[str]) -> str:
    """What editing ends as: `to`; `from` where `to` is empty."""
    first, second = found[1], found[2]
    return second if second and second.strip() else first
