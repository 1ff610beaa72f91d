"""Everything that a run works with."""

from __future__ import annotations

import os
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from .existing.finder import ExistingTexts
from .existing.texts import ExistingText
from .records import Item, Record
from .review.thumbnails import Thumbnails
from .settings import Settings
from .sources.selection import SelectedSource
from .state.parts import Parts
from .state.pictures import PlacedPictures
from .state.plan import Plan
from .state.revision import Revision, is_ours
from .state.run_folder import RunFolder
from .targets import Target
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
    texts: ExistingTexts

    @property
    def writes_sidecars(self) -> bool:
        """Whether every picture has a caption file of its own, written as soon as its shard is captioned."""
        return self.target.kind in ("txt", "caption")

    def existing(self, item: Item) -> ExistingText | None:
        """What the dataset says of a picture already, wherever that stands; None if nothing."""
        return self.texts.of(item)

    def keeps(self, existing: ExistingText | None) -> bool:
        """Whether an existing text is left alone, whatever the new caption would be."""
        text = None if existing is None else existing.text
        return apply_policy(text, "\0", self.settings.policy, self.settings.separator) is None

    def refusal(self, item: Item, existing: ExistingText | None) -> str:
        """Why no caption could be written for an item that has this text; "" if one could, or none is needed."""
        return "" if self.keeps(existing) else self.target.refusal(item)

    def has_text(self, item: Item) -> bool:
        """Whether there is any text where an item's caption belongs, whatever is said elsewhere."""
        if not self._has_own_files:
            return self.target.existing(item) is not None
        return self._written_at(item) is not None  # without reading it

    def was_edited(self, item: Item, fields: Mapping[str, Any], since: float) -> bool | None:
        """Whether somebody has changed the caption that was written for an item before `since`; None if it is gone.

        Args:
            fields: of the item's record.
            since: seconds, as `time.time` counts; a caption file that has not been written since is not read.
        """
        if self._has_own_files:
            written_at = self._written_at(item)
            if written_at is None or written_at <= since:
                return None if written_at is None else False
        now = self.target.existing(item)
        if now is None:  # a file that is there cannot be read
            return False if self._has_own_files else None
        return not is_ours(fields["caption"], fields["captions"], now)

    def is_gone(self, record: Record) -> bool:
        """Whether the file of a record's picture, on this machine, no longer exists."""
        path = self.sources[record.source].path(Item(record.key, record.source))
        return path is not None and not os.path.lexists(path)

    @property
    def _has_own_files(self) -> bool:
        """Whether each caption is a file beside its picture, so that a look at that tells."""
        return self.beside and self.writes_sidecars

    def _written_at(self, item: Item) -> float | None:
        """When the caption file beside a picture was written, as `time.time` counts; None if there is none."""
        path = self.sources[item.source].sidecar(item, f".{self.target.kind}")
        try:
            return None if path is None else os.stat(path).st_mtime
        except (OSError, ValueError):
            return None
