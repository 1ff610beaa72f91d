"""The prompt in the text that A1111's web UI and its forks write: the prompt, the negative prompt, the settings."""

from __future__ import annotations

import json
import re

_NEGATIVE = re.compile(r"^Negative prompt:", re.MULTILINE)
_SETTINGS = re.compile(r"^Steps: \d", re.MULTILINE)


def positive_of_parameters(text: str) -> str:
    """What stands before the negative prompt and the settings; "" where that is nothing.

    Some programs write JSON there instead, with the prompt in it.
    """
    if text.lstrip().startswith("{"):
        try:
            return _of_json(json.loads(text))
        except (ValueError, RecursionError):
            pass  # a prompt may begin with a bracket
    ends = [found.start() for pattern in (_NEGATIVE, _SETTINGS) if (found := pattern.search(text))]
    return text[: min(ends, default=len(text))].strip()


def _of_json(value: object) -> str:
    if isinstance(value, dict):
        for holder in (value, value.get("sui_image_params")):  # the latter is SwarmUI's
            if isinstance(holder, dict) and isinstance(holder.get("prompt"), str):
                return str(holder["prompt"]).strip()
    return ""
