"""What Florence-2 can be asked: tasks, each of which a token names. Data, and whether a question is one of them."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from types import MappingProxyType

from ...errors import RequestError

TASKS: Mapping[str, str] = MappingProxyType(
    {"short": "<CAPTION>", "detailed": "<DETAILED_CAPTION>", "more-detailed": "<MORE_DETAILED_CAPTION>"}
)
"""By the name of the prompt what every Florence-2 was taught; its processor puts a sentence in place of the token."""

FINE_TUNED: Mapping[str, Mapping[str, str]] = MappingProxyType(
    {
        "promptgen": {
            "tags": "<GENERATE_TAGS>",
            "mixed": "<MIXED_CAPTION>",
            "mixed-plus": "<MIXED_CAPTION_PLUS>",
            "analyze": "<ANALYZE>",
        },
    }
)
"""By what their names have in common, what fine-tunes were taught beside that: their files do not say it."""

_TASK = re.compile(r"<([A-Z][A-Z_]*)>")
_ANSWERED_BY_BOXES = frozenset(
    {
        "OD", "OCR_WITH_REGION", "DENSE_REGION_CAPTION", "REGION_PROPOSAL", "CAPTION_TO_PHRASE_GROUNDING",
        "REFERRING_EXPRESSION_SEGMENTATION", "REGION_TO_SEGMENTATION", "OPEN_VOCABULARY_DETECTION",
    }
)  # fmt: skip


def tasks_of(names: Sequence[str]) -> Mapping[str, str]:
    """The tasks of a model, by the names of prompts.

    names: what the model is called, and what its files say it was made from.
    """
    called = " ".join(names).casefold()
    more = [tasks for part, tasks in FINE_TUNED.items() if part in called]
    return MappingProxyType({name: token for tasks in (TASKS, *more) for name, token in tasks.items()})


def check_task(ask: str, tasks: Mapping[str, str], name: str) -> None:
    """Raises RequestError: a question is no task.

    The token of a task that is not listed is passed on as it is: another fine-tune may have been taught it.
    """
    ask = ask.strip()
    if not ask or ask in tasks:
        return
    found = _TASK.match(ask)
    if found is None:
        choices = ", ".join(f"{each} ({token})" for each, token in tasks.items())
        raise RequestError(f"{name} is a Florence-2 and knows tasks, not questions; choose from {choices}")
    if found[1] in _ANSWERED_BY_BOXES:
        raise RequestError(f"the task {found[0]} answers with boxes, not in words; choose from {', '.join(tasks)}")
    if found[0] in TASKS.values() and ask != found[0]:
        raise RequestError(f"the task {found[0]} takes no words beside it; ask {found[0]} alone")
