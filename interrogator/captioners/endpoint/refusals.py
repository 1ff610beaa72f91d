"""What a status other than 200 means: an error of one picture, or of the server and so of all."""

from __future__ import annotations

import re
from collections.abc import Sequence

from ...errors import CaptionError, EndpointError
from .connection import Reply
from .messages import quoted

BUSY = frozenset({429, 502, 503, 504})
"""Statuses after which a request is repeated: too many requests, a proxy without its server, a model that loads."""

# As llama.cpp, LM Studio, Ollama, vLLM and llamafile say it; not "image type … is not supported" of one picture.
_NO_VISION = re.compile(
    r"image input is not supported|mmproj|not compiled for multimodal|not a (?:multimodal|vision)"
    r"|(?:does not|doesn't|do not|cannot|can't) (?:support|accept|process|handle) (?:images?|vision|multimodal)\b"
    r"(?! (?:type|format|size|file|of)s?\b)"
    r"|missing data required for image input|no vision|text-only",
    re.IGNORECASE,
)
_NO_MODEL = re.compile(
    r"\bmodel(?:\s+\S{1,120})?\s+(?:(?:is |was )?not (?:found|loaded)|does not exist)"
    r"|(?:no such|unknown|invalid|not a valid) model\b"
    r"|^server is pinned to",  # transformers serve
    re.IGNORECASE,
)
_LISTED = 12


def error_of(reply: Reply, base: str, model: str, models: Sequence[str], key: str) -> CaptionError | EndpointError:
    """The error that a reply to a chat request means, in one sentence.

    Args:
        base: the server's address.
        models: that the server has, where known.
        key: that was sent; it is quoted nowhere.
    """
    said = quoted(reply.body, key)
    status = reply.status
    if status in (401, 403):
        return key_error(base, said, key)
    if 300 <= status < 400:
        return redirect_error(reply, base, key)
    if _NO_VISION.search(said):
        return EndpointError(
            f"the model {model} at {base} takes no pictures ({said}): load one that sees, for llama.cpp with --mmproj"
        )
    if status == 404 and not models:
        return EndpointError(
            f"{base} has no chat completions or no model {model!r} ({said}): correct the address, which usually ends in"
            " /v1, or the name of the model"
        )
    if status == 404 or (400 <= status < 500 and _NO_MODEL.search(said)):
        return EndpointError(f"{base} has no model {model!r} ({said}); {one_of(models)}")
    what = "failed" if status >= 500 else "refuses the request"
    return CaptionError(f"the server {what} with status {status}: {said}")


def key_error(base: str, said: str, key: str) -> EndpointError:
    """A server that wants another key, or one at all."""
    if key:
        return EndpointError(f"{base} refuses the key in INTERROGATOR_API_KEY ({said}): set the right one")
    return EndpointError(f"{base} wants a key ({said}): set it in the environment variable INTERROGATOR_API_KEY")


def redirect_error(reply: Reply, base: str, key: str) -> EndpointError:
    """A server that sends us elsewhere, which is not followed."""
    target = quoted(reply.location.encode(), key)
    return EndpointError(
        f"{base} redirects to {target}, and pictures go only to the address you name: name that one if you mean it"
    )


def one_of(models: Sequence[str]) -> str:
    """What to do where a model is to be named."""
    if not models:
        return "load a model there, and name it behind # of the address"
    more = f" and {len(models) - _LISTED} more" if len(models) > _LISTED else ""
    return f"choose from {', '.join(models[:_LISTED])}{more}, and name it behind # of the address"
