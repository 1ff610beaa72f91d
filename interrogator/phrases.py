"""Phrases: a list of texts as one block of bytes, of which only what is looked at becomes strings."""

from __future__ import annotations

import hashlib
from array import array
from bisect import bisect_right
from collections.abc import Iterable, Iterator, Sequence
from functools import cached_property
from itertools import accumulate, pairwise
from typing import TypeVar, overload

T = TypeVar("T")

Buffer = bytes | memoryview


class Phrases(Sequence[str]):
    """An immutable list of texts, equal to any sequence of the same texts.

    Attributes:
        borders: where each text begins in `data` and the last one ends, int64 [N + 1].
        data: the texts in UTF-8, one after the other; lone surrogates, which a file list may hold, pass.
    """

    def __init__(self, borders: Buffer, data: Buffer, digest: str | None = None) -> None:
        """Take over what `of` made, or what was saved of it.

        Args:
            borders: the bytes of the int64, in the order of this machine.
            digest: the list's, where it is known.
        """
        self.borders = memoryview(borders).cast("q")
        self.data = memoryview(data)
        if digest is not None:
            self.digest = digest

    @classmethod
    def of(cls, texts: Iterable[str]) -> Phrases:
        """A list of these texts."""
        encoded = [text.encode("utf-8", "surrogatepass") for text in texts]
        return cls(array("q", accumulate(map(len, encoded), initial=0)).tobytes(), b"".join(encoded))

    @cached_property
    def digest(self) -> str:
        """32 hex characters that stand for the list: its texts, their borders and their order."""
        state = hashlib.sha256(self.borders)
        state.update(self.data)
        return state.hexdigest()[:32]

    def __len__(self) -> int:
        return len(self.borders) - 1

    @overload
    def __getitem__(self, place: int) -> str: ...
    @overload
    def __getitem__(self, place: slice) -> tuple[str, ...]: ...
    def __getitem__(self, place: int | slice) -> str | tuple[str, ...]:
        if isinstance(place, slice):
            return tuple(self[number] for number in range(*place.indices(len(self))))
        if place < 0:
            place = range(len(self))[place]  # from the end, or IndexError
        return str(self.data[self.borders[place] : self.borders[place + 1]], "utf-8", "surrogatepass")

    def at(self, places: Iterable[int]) -> list[str]:
        """The texts at `places`, each from 0 to N - 1; for many, faster than one after the other."""
        borders, data = self.borders, self.data
        return [str(data[borders[place] : borders[place + 1]], "utf-8", "surrogatepass") for place in places]

    def __iter__(self) -> Iterator[str]:
        for start, end in pairwise(self.borders):
            yield str(self.data[start:end], "utf-8", "surrogatepass")

    def __eq__(self, other: object) -> bool:
        if isinstance(other, Phrases):
            return self.borders.tobytes() == other.borders.tobytes() and self.data == other.data
        if not isinstance(other, Sequence) or isinstance(other, (str, bytes)):
            return NotImplemented
        return len(self) == len(other) and all(mine == theirs for mine, theirs in zip(self, other, strict=True))

    def __hash__(self) -> int:
        return hash(tuple(self))  # that of the tuple which it equals

    def __repr__(self) -> str:
        return f"Phrases.of({list(self)!r})" if len(self) <= 8 else f"<{len(self)} phrases>"

    def __reduce__(self) -> tuple[type[Phrases], tuple[bytes, bytes, str]]:
        return Phrases, (self.borders.tobytes(), self.data.tobytes(), self.digest)


class Joined(Sequence[T]):
    """Several sequences read as one, without copying them."""

    def __init__(self, parts: Sequence[Sequence[T]]) -> None:
        self._parts = parts
        self.borders = list(accumulate(map(len, parts), initial=0))
        """Where each part begins, and the last one ends."""

    def __len__(self) -> int:
        return self.borders[-1]

    @overload
    def __getitem__(self, place: int) -> T: ...
    @overload
    def __getitem__(self, place: slice) -> list[T]: ...
    def __getitem__(self, place: int | slice) -> T | list[T]:
        if isinstance(place, slice):
            return [self[number] for number in range(*place.indices(len(self)))]
        if not 0 <= place < self.borders[-1]:
            place = range(len(self))[place]  # from the end, or IndexError
        home = bisect_right(self.borders, place) - 1
        return self._parts[home][place - self.borders[home]]

    def __iter__(self) -> Iterator[T]:
        for part in self._parts:
            yield from part


class Repeated(Sequence[T]):
    """One item many times."""

    def __init__(self, item: T, times: int) -> None:
        self._item = item
        self._times = times

    def __len__(self) -> int:
        return self._times

    @overload
    def __getitem__(self, place: int) -> T: ...
    @overload
    def __getitem__(self, place: slice) -> list[T]: ...
    def __getitem__(self, place: int | slice) -> T | list[T]:
        if isinstance(place, slice):
            return [self._item] * len(range(*place.indices(self._times)))
        range(self._times)[place]  # IndexError as everywhere
        return self._item
