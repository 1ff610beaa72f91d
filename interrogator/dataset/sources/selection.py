"""Which pictures of a source a run takes, and what it leaves out."""

from __future__ import annotations

from collections import Counter
from collections.abc import Collection, Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass, field, replace
from pathlib import Path
from typing import Any

from ..records import Item
from .companions import MASK_ENDING, Companions, Folder
from .patterns import Patterns
from .source import Source
from .unread import remedy, unread_ending


@dataclass(frozen=True)
class Selection:
    """Which pictures of the sources a run takes.

    It says nothing of what is written, so a run with another selection is the same run: pictures that are taken now are
    captioned, those that no longer are keep what they have.

    Attributes:
        include: patterns of keys, see `Patterns`; () takes all.
        exclude: patterns of keys that are not taken, whatever `include` says.
        with_masks: take masks and controls for pictures, too; see `companions`.
    """

    include: tuple[str, ...] = ()
    exclude: tuple[str, ...] = ()
    with_masks: bool = False

    def __post_init__(self) -> None:
        """Raises RequestError: a pattern is empty."""
        Patterns((*self.include, *self.exclude))


@dataclass
class LeftOut:
    """What a run does not take of its sources.

    Attributes:
        excluded: pictures, by the patterns.
        masks: masks and controls, by ending or by folder: {"-masklabel": 3, "masks/": 5}.
        unread: files that are pictures or videos and cannot be read, and stored latents, by ending: {".heic": 2}.
        idle: patterns that matched no picture.
    """

    excluded: int = 0
    masks: dict[str, int] = field(default_factory=dict)
    unread: dict[str, int] = field(default_factory=dict)
    idle: list[str] = field(default_factory=list)

    def as_dict(self) -> dict[str, Any]:
        """As JSON holds it."""
        return asdict(self)

    def sentences(self) -> Iterator[str]:
        """What was left out and what to do about it, for people; nothing where nothing was."""
        if self.masks:
            names = ", ".join(f"{name} {count}" for name, count in self.masks.items())
            yield f"{sum(self.masks.values())} masks and controls left out ({names}); --with-masks takes them, too"
        if self.excluded:
            yield f"{self.excluded} left out by --include and --exclude"
        for ending, count in self.unread.items():
            yield f"{count} {ending} passed over: {remedy(ending)}"
        for pattern in self.idle:
            yield f"no picture matches {pattern!r}"

    @classmethod
    def from_dict(cls, values: Mapping[str, Any]) -> LeftOut:
        """From `as_dict`. Raises TypeError."""
        return cls(**values)


class Chooser:
    """A selection at work, over all sources of a run."""

    def __init__(self, selection: Selection, masked: bool = False) -> None:
        """masked: pictures are to have their masks."""
        self.masked = masked
        self.with_masks = selection.with_masks
        self._include = Patterns(selection.include) if selection.include else None
        self._exclude = Patterns(selection.exclude)
        self._takes_all = not (selection.include or selection.exclude)

    def takes(self, key: str) -> bool:
        """Whether the patterns take a key."""
        if self._takes_all:
            return True
        is_included = self._include is None or self._include.match(key)
        return not self._exclude.match(key) and is_included

    def idle(self) -> list[str]:
        """The patterns that have matched nothing so far."""
        return [*(self._include.idle() if self._include else ()), *self._exclude.idle()]


class SelectedSource:
    """A source as a run sees it: the pictures that its selection takes, each of them as the source has it."""

    def __init__(self, source: Source, chooser: Chooser) -> None:
        self.source = source
        self.uri, self.kind, self.number, self.folder = source.uri, source.kind, source.number, source.folder
        self._chooser = chooser
        self._masks: set[int] = set()  # hashes of keys
        self.excluded = 0
        self.masks = Counter[str]()
        self.unread = Counter[str]()
        self.notice = source.notice
        source.notice = self._notice

    @property
    def containers(self) -> Collection[str]:
        return self.source.containers

    def items(self) -> Iterator[Item]:
        return (item for item, is_taken in self.all_items() if is_taken)

    def all_items(self) -> Iterator[tuple[Item, bool]]:
        """All pictures, and whether they are taken; those that may be masks come last."""
        if not self._chooser.masked:
            yield from self._all_items()
            return
        masks = self._masks_by_stem()
        for item, is_taken in self._all_items():
            mask = masks.get(item.key.rpartition(".")[0])
            yield (item if mask is None or mask.key == item.key else replace(item, mask=mask)), is_taken

    def _masks_by_stem(self) -> dict[str, Item]:
        """The masks of the source by the keys of their pictures, without the ending."""
        companions, masks = Companions(), dict[str, Item]()
        held: dict[Folder, list[Item]] = {}
        for item in self.source.items():
            found = companions.add(item.key)
            if isinstance(found, Folder) and found.is_of_masks:
                held.setdefault(found, []).append(item)
            elif found == MASK_ENDING:
                masks[item.key.rpartition(".")[0][: -len(MASK_ENDING)]] = item
        for folder, items in held.items():
            if companions.belong([item.key for item in items], folder):
                for item in items:
                    for stem in companions.pictures_of(item.key, folder):
                        masks.setdefault(stem, item)
        return masks

    def _all_items(self) -> Iterator[tuple[Item, bool]]:
        self.excluded = 0
        self.masks.clear()
        self.unread.clear()
        self._masks.clear()
        companions = Companions()
        held: dict[Folder, list[Item]] = {}
        for item in self.source.items():
            found = None if self._chooser.with_masks else companions.add(item.key)
            if found is None:
                yield item, self._takes(item)
            elif isinstance(found, Folder):
                held.setdefault(found, []).append(item)
            else:
                yield item, self._leave(item, found)
        for folder, items in held.items():
            is_of_companions = companions.belong([item.key for item in items], folder)
            for item in items:
                yield item, self._leave(item, folder.name + "/") if is_of_companions else self._takes(item)

    def leaves_out(self, item: Item) -> bool:
        """Whether a picture, of those that were listed last, is not taken."""
        return hash(item.key) in self._masks or not self._chooser.takes(item.key)

    def read(self, items: Sequence[Item]) -> Iterator[tuple[Item, bytes | Exception]]:
        return self.source.read(items)

    def container(self, item: Item) -> str:
        return self.source.container(item)

    def version(self, container: str) -> str:
        return self.source.version(container)

    def path(self, item: Item) -> Path | None:
        return self.source.path(item)

    def sidecar(self, item: Item, extension: str) -> Path | None:
        return self.source.sidecar(item, extension)

    def _takes(self, item: Item) -> bool:
        is_taken = self._chooser.takes(item.key)
        self.excluded += not is_taken
        return is_taken

    def _leave(self, item: Item, why: str) -> bool:
        self._masks.add(hash(item.key))
        self.masks[why] += 1
        return False

    def _notice(self, key: str) -> None:
        ending = unread_ending(key)
        if ending and self._chooser.takes(key):
            self.unread[ending] += 1


def left_out_of(sources: Sequence[SelectedSource], chooser: Chooser) -> LeftOut:
    """What was left out when the sources were last listed."""
    return LeftOut(
        sum(source.excluded for source in sources),
        dict(sum((source.masks for source in sources), Counter[str]()).most_common()),
        dict(sum((source.unread for source in sources), Counter[str]()).most_common()),
        chooser.idle(),
    )
