"""Loader: loads what a run works with, or only what checks captions, where there is nothing to write."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

CHECKERS = frozenset({"encoder", "matcher"})
"""The roles that check captions."""


@dataclass(frozen=True)
class Loader:
    """Loads the models of a run when called; for runs of several processes, `load` can be pickled.

    Attributes:
        load: given roles, loads those of them that the settings need; None is all that they need.
    """

    load: Callable[[frozenset[str] | None], Any]

    def __call__(self) -> Any:
        """All models that the settings need."""
        return self.load(None)

    def for_checks(self) -> Any:
        """Those that check captions: no captioner, no tagger."""
        return self.load(CHECKERS)


def loader_for(models: Callable[[], Any], writes: bool) -> Callable[[], Any]:
    """What to call for models: one that cannot load a part of them loads all.

    writes: whether captions are written, or only checked.
    """
    return models if writes else getattr(models, "for_checks", models)
