"""Everything that a run works with."""

from __future__ import annotations

import os
from dataclasses import dataclass

from .records import Item, Record
from .review.thumbnails import Thumbnails
from .settings import Settings
from .sources.selection import SelectedSource
from .state.parts import Parts
from .state.pictures import PlacedPictures
from .state.plan import Plan
from .state.revision import Revision
from .state.run_folder import RunFolder
from .targets import Target, text_of
from .text import apply_policy
from .triggers import TriggerSettings


@dataclass(frozen=True, eq=False)
class RunContext:
    """Everything that a run works with.

    Attributes:
        beside: captions go beside the pictures.
        pictures: those that go into the folder of the captions.
    """

    settings: Settings
    sources: list[SelectedSource]
    target: Target
    beside: bool
    files: RunFolder
    plan: Plan
    parts: Parts
    thumbnails: Thumbnails
    revision: Revision
    pictures: PlacedPictures
    for_picture: TriggerSettings

    @property
    def writes_sidecars(self) -> bool:
        """Whether every picture has a caption file of its own, written as soon as its shard is captioned."""
        return self.target.kind in ("txt", "caption")

    def keeps(self, existing: str | None) -> bool:
        """Whether an existing text is left alone, whatever the new caption would be."""
        text = None if existing is None else text_of(existing)
        return apply_policy(text, "\0", self.settings.policy, self.settings.separator) is None

    def refusal(self, item: Item, existing: str | None) -> str:
        """Why no caption could be written for an item that has this text; "" if one could, or none is needed."""
        return "" if self.keeps(existing) else self.target.refusal(item)

    def has_text(self, item: Item) -> bool:
        """Whether there is any text where an item's caption belongs."""
        if not (self.beside and self.writes_sidecars):
            return self.target.existing(item) is not None
        path = self.sources[item.source].sidecar(item, f".{self.target.kind}")
        return path is not None and os.path.exists(path)  # without reading it

    def is_gone(self, record: Record) -> bool:
        """Whether the file of a record's picture, on this machine, no longer exists."""
        path = self.sources[record.source].path(Item(record.key, record.source))
        return path is not None and not os.path.lexists(path)
