"""What every target is, and what they share."""

from __future__ import annotations

import os
import re
from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import NamedTuple, Protocol

from ...dataset_choices import PathStyle
from ...errors import RequestError
from ..records import Item, Record
from ..sources.source import Source

# learn.microsoft.com/windows/win32/fileio/naming-a-file: characters, ends that Windows drops, names of devices.
_REFUSED_BY_WINDOWS = re.compile(
    r'[\x00-\x1f\\:*?"<>|]|[. ]$|^(con|prn|aux|nul|com[0-9¹²³]|lpt[0-9¹²³]) *(\.|$)', re.IGNORECASE
)


class Rejected(NamedTuple):
    """A record that a target could not take; one sentence says why."""

    key: str
    reason: str
    source: int = 0


class Target(Protocol):
    """Where captions go. Files are whole or absent, and whatever else they hold is kept.

    All calls raise OSError when the disk is full or gone, for then no other record could be written either.
    """

    kind: str

    def files(self) -> list[Path]:
        """The files of many captions each that are there or that it would write; none where each has its own."""

    def existing(self, item: Item) -> str | None:
        """The text that stands there now, as exactly as `restore` needs it; None if nothing does. See `text_of`.

        Also None where it cannot be read; `write` then leaves it alone.
        """

    def captions(self, item: Item) -> tuple[str, ...]:
        """The captions of an item where a list of several stands there; () elsewhere."""

    def refusal(self, item: Item) -> str:
        """Why `write` would not take a caption of an item, known before there is one; "" if it may."""

    def write(self, records: Sequence[Record]) -> list[Rejected]:
        """Takes the records of a finished shard. Only sidecars write now; the others wait for `finish`."""

    def finish(self, records: Iterable[Record]) -> list[Rejected]:
        """Takes the records of the whole run, in the order of the items. What stands there for failed ones stays."""

    def restore(self, records: Iterable[Record]) -> list[Rejected]:
        """Puts back what was there before the records that are for it. Captions changed since the run are rejected."""


class WrittenAtEnd:
    """What targets share whose files hold many captions each: `finish` writes them, when all records are there."""

    def refusal(self, item: Item) -> str:
        return ""

    def write(self, records: Sequence[Record]) -> list[Rejected]:
        return []


def item_of(record: Record) -> Item:
    """The record's item, as far as paths need it."""
    return Item(record.key, record.source)


def reject(record: Record, reason: str) -> Rejected:
    return Rejected(record.key, reason, record.source)


def text_of(before: str) -> str:
    """The caption in what `Target.existing` gave: without a byte order mark and the white space around."""
    return before.removeprefix("\ufeff").strip()


def is_utf8(*texts: str) -> bool:
    """Whether text files can hold this; a name of other bytes (PEP 383) or half a surrogate pair cannot."""
    try:
        for text in texts:
            text.encode()
    except UnicodeEncodeError:
        return False
    return True


def one_line(text: str) -> str:
    return " ".join(text.split())


class Names:
    """What a record is called in a target, by where its picture is.

    folder: what names are relative to. Pictures inside are named by their path from there; others by their key, with
        the source's own name in front where the run has several sources.
    pictures_inside: refuse the pictures on this machine that are not inside.
    style: see `dataset_choices.PATH_STYLES`.
    """

    def __init__(
        self, sources: Sequence[Source], folder: Path, pictures_inside: bool = False, style: PathStyle = "relative"
    ) -> None:
        self.sources = {source.number: source for source in sources}
        self.labels = _labels(sources)
        self.style = style
        self._inside = os.path.join(os.path.abspath(folder), "")
        self._pictures_inside = pictures_inside
        self._last: tuple[Item, str] | None = None

    def source(self, item: Item) -> Source:
        if item.source not in self.sources:
            raise RequestError(f"{item.key}: unknown source {item.source}")
        return self.sources[item.source]

    def of(self, item: Item) -> tuple[str, str]:
        """Name, and why it cannot be used ("" if it can)."""
        if self.style == "relative":
            name = self.below(item)
            if not name and self._pictures_inside and self.whole(item):
                return item.key, f"its picture is outside {self._inside}"
        else:
            name = self.whole(item) if self.style == "absolute" else ""
        name = name or self.label(item)
        return name, "" if is_utf8(name) else "its name is not UTF-8"

    def spellings(self, item: Item) -> list[str]:
        """All that tables may call the picture, however it is called here."""
        return [name for name in (self.below(item) or self.label(item), self.whole(item)) if name]

    @property
    def are_of_one_folder(self) -> bool:
        """Whether paths from the folder of the first source say which picture is meant."""
        return len(self.sources) == 1

    def whole(self, item: Item) -> str:
        """The whole path of the picture's file on this machine; "" if it has none."""
        if self._last is None or self._last[0] is not item:  # asked for several times in a row
            path = self.source(item).path(item)
            self._last = (item, "" if path is None else os.path.abspath(path))
        return self._last[1]

    def below(self, item: Item) -> str:
        """The picture's path from the folder; "" if it is not inside."""
        whole = self.whole(item)
        return whole[len(self._inside) :].replace(os.sep, "/") if whole.startswith(self._inside) else ""

    def label(self, item: Item) -> str:
        """The key, with the source's own name in front where there are several."""
        label = self.labels[item.source]
        return f"{label}/{item.key}" if label else item.key


def inside(folder: Path, name: str) -> Path | None:
    """A name of parts with `/` between them, under a folder; None if it would lead out of it, or is no file's name."""
    parts = [part for part in name.split("/") if part not in ("", ".")]
    if not parts or ".." in parts or any("\0" in part for part in parts):
        return None
    if os.name == "nt" and any(_REFUSED_BY_WINDOWS.search(part) for part in parts):
        return None
    return folder.joinpath(*parts)


def _labels(sources: Sequence[Source]) -> dict[int, str]:
    """A short name for each source, all different; "" for the only one."""
    if len(sources) == 1:
        return {sources[0].number: ""}
    labels: dict[int, str] = {}
    for source in sources:
        first = label = source.uri.replace(os.sep, "/").rstrip("/").rpartition("/")[2] or "source"
        count = 1
        while label in labels.values():
            count += 1
            label = f"{first}-{count}"
        labels[source.number] = label
    return labels
