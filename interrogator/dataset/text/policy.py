"""What happens where a caption exists."""

from __future__ import annotations

import re
from functools import lru_cache

from ...dataset_choices import POLICIES, Policy
from ...errors import RequestError
from .tags import is_tag_list, missing_tags

__all__ = ["Policy", "apply_policy"]


def apply_policy(existing: str | None, new: str, policy: Policy, separator: str = ", ") -> str | None:
    """What to write where a text may exist; None leaves the existing one.

    Doing the same again changes nothing. A blank new text is never written. A text that stands there already is not
    added again, and of tags, where both are tags, none that is there.

    Args:
        existing: the text that is there; None if there is none.
        separator: between the two, once, however they end and begin.

    Raises:
        RequestError: unknown policy.
    """
    if policy not in POLICIES:
        raise RequestError(f"unknown policy {policy!r}; choose from {', '.join(POLICIES)}")
    fresh = _bare(new, separator)
    if not fresh or new == existing:
        return None
    if existing is None or policy == "overwrite":
        return new
    old = _bare(existing, separator)
    if not old and policy != "skip":
        return new
    if policy == "skip" or policy == "if-empty" or _is_there(old, fresh, separator):
        return None
    if separator.strip() == "," and is_tag_list(old) and is_tag_list(fresh):
        tags = missing_tags(old, fresh)
        if not tags:
            return None
        fresh = separator.join(tags)
    return old + separator + fresh if policy == "append" else fresh + separator + old


def _is_there(old: str, fresh: str, separator: str) -> bool:
    """Whether a text is one of those that separators part; where these are but spaces, the first or last."""
    if separator.strip(" "):
        return separator + fresh + separator in separator + old + separator
    return (separator + old).endswith(separator + fresh) or (old + separator).startswith(fresh + separator)


def _bare(text: str, separator: str) -> str:
    """A text without white space and separators at its ends; a separator that is a word is no part of another word."""
    mark = separator.strip()
    return _ends(mark).sub("", text) if mark else text.strip()


@lru_cache(maxsize=16)
def _ends(mark: str) -> re.Pattern[str]:
    """White space and marks at both ends of a text."""
    before, after = (r"\b" if re.match(r"\w", end) else "" for end in (mark[0], mark[-1]))
    edge = rf"(?:\s|{before}{re.escape(mark)}{after})+"
    return re.compile(rf"\A{edge}|{edge}\Z")
