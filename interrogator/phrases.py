"""Phrases: a list of texts as one block of bytes, decoded to strings only on access."""

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
        borders: the offset in `data` at which each text begins, and the end of the last one, int64 [N + 1].
        data: the texts in UTF-8, concatenated; lone surrogates, which file names may contain, are allowed.
    """

    def __init__(self, borders: Buffer, data: Buffer, digest: str | None = None) -> None:
        """Wrap the buffers that `of` made, or saved copies of them.

        Args:
            borders: the int64 values as bytes, in this machine's byte order.
            digest: the digest of the list, if known.
        """
        self.borders = memoryview(borders).cast("q")
        self.data = memoryview(data)
        if digest is not None:
            self.digest = digest

    @classmethod
    def of(cls, texts: Iterable[str]) -> Phrases:
        """A list of the given texts."""
        encoded = [text.encode("utf-8", "surrogatepass") for text in texts]
        return cls(array("q", accumulate(map(len, encoded), initial=0)).tobytes(), b"".join(encoded))

    @cached_property
    def digest(self) -> str:
        """32 hex characters that identify the list: its texts, their borders and their order."""
        state = hashlib.sha256(self.borders)
        state.update(self.data)
        return state.hexdigest()[:32]

    def __len__(self) -> int:
        return len(self.borders) - 1

    @overload
    def __getitem__(self, index: int) -> str: ...
    @overload
    def __getitem__(self, index: slice) -> tuple[str, ...]: ...
    def __getitem__(self, index: int | slice) -> str | tuple[str, ...]:
        if isinstance(index, slice):
            return tuple(self[number] for number in range(*index.indices(len(self))))
        if index < 0:
            index = range(len(self))[index]  # from the end, or IndexError
        return str(self.data[self.borders[index] : self.borders[index + 1]], "utf-8", "surrogatepass")

    def at(self, indices: Iterable[int]) -> list[str]:
        """The texts at `indices`, each from 0 to N - 1; faster than one by one."""
        borders, data = self.borders, self.data
        return [str(data[borders[index] : borders[index + 1]], "utf-8", "surrogatepass") for index in indices]

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
        return hash(tuple(self))  # equal to tuples, so hashed like one

    def __repr__(self) -> str:
        return f"Phrases.of({list(self)!r})" if len(self) <= 8 else f"<{len(self)} phrases>"

    def __reduce__(self) -> tuple[type[Phrases], tuple[bytes, bytes, str]]:
        return Phrases, (self.borders.tobytes(), self.data.tobytes(), self.digest)


class Joined(Sequence[T]):
    """Several sequences read as one, without copying them."""

    def __init__(self, parts: Sequence[Sequence[T]]) -> None:
        self._parts = parts
        self.borders = list(accumulate(map(len, parts), initial=0))
        """The index at which each part begins, and the end of the last one."""

    def __len__(self) -> int:
        return self.borders[-1]

    @overload
    def __getitem__(self, index: int) -> T: ...
    @overload
    def __getitem__(self, index: slice) -> list[T]: ...
    def __getitem__(self, index: int | slice) -> T | list[T]:
        if isinstance(index, slice):
            return [self[number] for number in range(*index.indices(len(self)))]
        if not 0 <= index < self.borders[-1]:
            index = range(len(self))[index]  # from the end, or IndexError
        home = bisect_right(self.borders, index) - 1
        return self._parts[home][index - self.borders[home]]

    def __iter__(self) -> Iterator[T]:
        for part in self._parts:
            yield from part


class Repeated(Sequence[T]):
    """One item repeated `times` times."""

    def __init__(self, item: T, times: int) -> None:
        self._item = item
        self._times = times

    def __len__(self) -> int:
        return self._times

    @overload
    def __getitem__(self, index: int) -> T: ...
    @overload
    def __getitem__(self, index: slice) -> list[T]: ...
    def __getitem__(self, index: int | slice) -> T | list[T]:
        if isinstance(index, slice):
            return [self._item] * len(range(*index.indices(self._times)))
        range(self._times)[index]  # raises IndexError when out of range
        return self._item
