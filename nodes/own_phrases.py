"""Phrases typed into a node."""

from __future__ import annotations

from typing import TYPE_CHECKING

from .. import interrogator

if TYPE_CHECKING:
    from ..interrogator import PhraseBank

OWN = "own"
"""The name of their bank, which fills the same slot as flavors."""


def own_bank(lines: str | None) -> PhraseBank:
    """The bank of phrases typed one per line; may be empty."""
    return interrogator.PhraseBank.from_phrases(OWN, (lines or "").splitlines())
