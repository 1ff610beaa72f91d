"""The known taggers."""

from __future__ import annotations

from .kinds import KnownModel

TAGGERS: tuple[KnownModel, ...] = ()
