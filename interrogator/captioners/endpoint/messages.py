"""The chat completions of the OpenAI-compatible protocol: what a request says, and what an answer means."""

from __future__ import annotations

import json
import re
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from ...errors import CaptionError

_QUOTED = 200  # characters of a server's own words
# Everything but printable text and line ends; halves of surrogate pairs cannot even be written to a file.
_UNPRINTABLE = re.compile(r"[\x00-\x08\x0b-\x1f\x7f-\x9f\ud800-\udfff\ufeff]+")


@dataclass(frozen=True)
class Completion:
    """What a model wrote.

    Attributes:
        text: as the server gives it, thinking in tags included.
        finished: whether the model ended it, and not the limit of tokens.
        thought: whether it thought apart from that (`reasoning_content`).
    """

    text: str
    finished: bool = True
    thought: bool = False


def request_body(model: str, system: str, question: str, data_url: str, settings: Mapping[str, Any]) -> bytes:
    """The body of a request: the picture, then what is asked about it.

    settings: max_tokens, temperature, top_p, seed.
    """
    content = [{"type": "image_url", "image_url": {"url": data_url}}, {"type": "text", "text": question}]
    messages: list[dict[str, Any]] = [{"role": "user", "content": content}]
    if system:
        messages.insert(0, {"role": "system", "content": system})
    return json.dumps({"model": model, "messages": messages, "stream": False, **settings}).encode("ascii")


def completion_of(body: bytes) -> Completion:
    """What an answer with status 200 says.

    Raises CaptionError: it is no chat completion, or one without a text; says why.
    """
    content = json_of(body)
    if content is None:
        raise CaptionError(f"the server answers {kind_of(body)} where a chat completion should be; check the address")
    fields: Mapping[str, Any] = content if isinstance(content, dict) else {}
    if fields.get("error"):
        raise CaptionError(f"the server refuses: {quoted(body)}")
    choices = fields.get("choices")
    if choices == []:
        raise CaptionError("the server's answer holds no choice; try again, or use another model")
    choice = choices[0] if isinstance(choices, list) else None
    message = choice.get("message") if isinstance(choice, dict) else None
    if not isinstance(choice, dict) or not isinstance(message, dict):
        raise CaptionError("the server answers JSON that is no chat completion; check the address")
    text = _text_of(message.get("content"))
    _check_reason(choice.get("finish_reason"), message.get("refusal"), text)
    thought = any(bool(_text_of(message.get(name))) for name in ("reasoning_content", "reasoning"))
    return Completion(text, choice.get("finish_reason") != "length", thought)


def model_names(body: bytes) -> list[str] | None:
    """The models that an answer to `/models` lists; None where it is no such list."""
    content = json_of(body)
    rows = content.get("data") if isinstance(content, dict) else None
    if not isinstance(rows, list):
        return None
    names = [row.get("id") for row in rows if isinstance(row, dict)]
    return [_one_line(name) for name in names if isinstance(name, str) and name]


def quoted(body: bytes, secret: str = "") -> str:
    """What a server says of an error, in one line and shortened; the secret is left out."""
    content = json_of(body)
    said = _message_in(content) if content is not None else ""
    if not said and content is None and not _is_html(body):
        said = body[: 4 * _QUOTED].decode("utf-8", "replace")
    if secret:
        said = said.replace(secret, "***")
    said = _one_line(said) or (kind_of(body) if body.strip() else "no reason given")
    return said if len(said) <= _QUOTED else said[: _QUOTED - 2].rstrip() + " …"


def kind_of(body: bytes) -> str:
    """What a body that is no chat completion is, in words."""
    if not body.strip():
        return "nothing"
    if _is_html(body):
        return "a web page"
    return "plain text" if json_of(body) is None else "JSON"


def json_of(body: bytes) -> Any:
    """The JSON in a body; None where there is none."""
    try:
        return json.loads(body)
    except (ValueError, RecursionError):  # ValueError: also bytes that are no UTF-8
        return None


def _is_html(body: bytes) -> bool:
    start = body[:200].lstrip().lower()
    return start.startswith((b"<!doctype", b"<html", b"<head", b"<?xml", b"<body"))


def _text_of(content: Any) -> str:
    """The text of a content, which is a string or a list of parts."""
    if isinstance(content, list):
        parts = [part.get("text") for part in content if isinstance(part, dict)]
        content = "".join(part for part in parts if isinstance(part, str))
    return _UNPRINTABLE.sub(" ", content).strip() if isinstance(content, str) else ""


def _check_reason(reason: Any, refusal: Any, text: str) -> None:
    """Raises CaptionError: the text of a choice is none about the picture."""
    if isinstance(refusal, str) and refusal.strip():
        raise CaptionError(f"the model refuses: {_shortened(refusal)}")
    if reason == "content_filter":
        raise CaptionError("the server's content filter withholds the caption; use another model")
    if reason == "error":  # as mlx servers end an answer whose text is the error
        raise CaptionError(f"the server failed: {_shortened(text) or 'no reason given'}")


def _message_in(content: Any) -> str:
    """The sentence in the many shapes that servers give an error."""
    if isinstance(content, str):
        return content
    if isinstance(content, list):
        return "; ".join(filter(None, map(_message_in, content[:3])))
    if isinstance(content, dict):
        for name in ("error", "message", "detail", "msg"):
            said = _message_in(content.get(name))
            if said:
                return said
    return ""


def _shortened(text: str) -> str:
    line = _one_line(text)
    return line if len(line) <= _QUOTED else line[: _QUOTED - 2].rstrip() + " …"


def _one_line(text: str) -> str:
    return " ".join(_UNPRINTABLE.sub(" ", text).split())
