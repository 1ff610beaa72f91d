"""Pictures that look alike: a 64-bit difference hash, and groups of hashes that differ in few bits.

The hash is dHash as Neal Krawetz describes it ("Kind of Like That", hackerfactor.com, January 2013): does brightness
rise from each point of a 9 x 8 picture to the next on its right? Scaling, recompression and a change of brightness
leave most of its bits alone; a mirrored or cropped picture has another.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import numpy.typing as npt
from PIL import Image

BITS = 64
NEAR = 4
"""Bits in which two pictures that look alike may differ."""

# Below this many, comparing each with each is faster than parting them again.
_FEW = 400
# So often at most: each time there are `bits` + 1 times as many parts.
_DEPTH = 3
# Pairs kept before they are linked.
_PENDING = 1 << 20

Numbers = npt.NDArray[np.uint64]
Indices = npt.NDArray[np.int64]


def difference_hash(image: Image.Image) -> str:
    """16 hex characters for how a picture looks; the first bit is its upper left corner."""
    small = image.convert("L").resize((9, 8), Image.Resampling.LANCZOS)
    rows = np.asarray(small)  # uint8 [8, 9]
    return np.packbits(rows[:, 1:] > rows[:, :-1]).tobytes().hex()


def near_groups(hashes: Sequence[str], bits: int = NEAR) -> list[list[int]]:
    """Which of some hashes differ in at most `bits` bits from another one, by their indices.

    Two that differ in more stand in one group where others link them. Exact: no pair is missed. Groups, and the indices
    in them, are in order; what is like nothing else is in no group. Empty hashes are passed over.

    Args:
        hashes: as `difference_hash` makes them; n of them.
    """
    indices = [index for index, text in enumerate(hashes) if text]
    numbers = np.array([int(hashes[index], 16) for index in indices], dtype=np.uint64)
    return [[indices[member] for member in group] for group in near_numbers(numbers, bits)]


def near_numbers(numbers: Numbers, bits: int = NEAR) -> list[list[int]]:
    """`near_groups` of hashes that are numbers already: uint64 [n]."""
    if not len(numbers):
        return []
    unique, homes = np.unique(numbers, return_inverse=True)  # [m], [n]
    return equal_groups(_Linked(unique, bits).lowest[homes.reshape(-1)])


def equal_groups(values: npt.NDArray[np.generic]) -> list[list[int]]:
    """The indices of equal values, where a value stands at least twice; in order."""
    if not len(values):
        return []
    order = np.argsort(values, kind="stable")
    sorted_values = values[order]
    starts = np.flatnonzero(np.concatenate(([True], sorted_values[1:] != sorted_values[:-1])))
    ends = np.append(starts[1:], len(values))
    many = ends - starts > 1
    spans = zip(starts[many].tolist(), ends[many].tolist(), strict=True)
    return sorted(order[start:end].tolist() for start, end in spans)


class _Linked:
    """Distinct numbers, of which those near each other are linked.

    Attributes:
        lowest: of each number, the index of the first in its group, as far as links are known: int64 [m].
    """

    def __init__(self, numbers: Numbers, most: int) -> None:
        """Link those that differ in at most `most` bits."""
        self.lowest = np.arange(len(numbers))
        self._numbers = numbers
        self._most = most
        self._pending: list[tuple[Indices, Indices]] = []  # pairs found, not linked yet
        self._waiting = 0  # how many
        self._look_through(np.arange(len(numbers)), tuple(range(BITS)))
        self._link()

    def _look_through(self, members: Indices, free: tuple[int, ...], depth: int = 1) -> None:
        """Find the near ones among some members.

        Of `most` + 1 bands of bits, two such numbers have one in common: only those that share a band are compared, and
        those of a band that too many share are parted again by the bits that are left. Where all are linked already,
        nothing is compared.

        Args:
            free: the bits in which members may differ; they are equal in all others.
            depth: how often they have been parted.
        """
        for first in range(self._most + 1):
            band = free[first :: self._most + 1]
            keys = self._numbers[members] & np.uint64(sum(1 << bit for bit in band))
            order = np.argsort(keys, kind="stable")
            ends = np.append(np.flatnonzero(np.diff(keys[order])) + 1, len(order))
            starts = np.concatenate(([0], ends[:-1]))
            self._link()
            known = self.lowest[members[order]]
            apart = np.minimum.reduceat(known, starts) != np.maximum.reduceat(known, starts)
            rest = tuple(bit for bit in free if bit not in band)
            again = (ends - starts > _FEW) & (len(rest) > self._most) & (depth < _DEPTH)
            for start, end in zip(starts[apart & again].tolist(), ends[apart & again].tolist(), strict=True):
                self._look_through(members[order[start:end]], rest, depth + 1)
            now = np.repeat(apart & ~again, ends - starts)
            self._compare(members[order[now]], keys[order[now]])

    def _compare(self, members: Indices, groups: Numbers) -> None:
        """Each member with each of its group; those of a group stand together."""
        mine = self._numbers[members]
        left = np.arange(len(members))
        for apart in range(1, len(members)):
            left = left[left < len(members) - apart]
            left = left[groups[left] == groups[left + apart]]
            if not len(left):
                break
            near = left[_count_ones(mine[left] ^ mine[left + apart]) <= self._most]
            self._pending.append((members[near], members[near + apart]))
            self._waiting += len(near)
            if self._waiting > _PENDING:
                self._link()

    def _link(self) -> None:
        """Make one group of the two that each pair found is from."""
        if not self._pending:
            return
        left, right = (np.concatenate(side) for side in zip(*self._pending, strict=True))
        self._pending, self._waiting = [], 0
        lowest = self.lowest
        while True:
            low, high = np.minimum(lowest[left], lowest[right]), np.maximum(lowest[left], lowest[right])
            apart = low != high
            if not apart.any():
                break
            np.minimum.at(lowest, high[apart], low[apart])
            while not np.array_equal(lowest, lowest[lowest]):
                lowest = lowest[lowest]
        self.lowest = lowest


def _count_ones(numbers: Numbers) -> npt.NDArray[np.uint8]:
    """How many bits of each number are set: [n] -> [n]."""
    if hasattr(np, "bitwise_count"):  # from numpy 2.0 on
        return np.asarray(np.bitwise_count(numbers), dtype=np.uint8)
    octets = np.ascontiguousarray(numbers).view(np.uint8).reshape(-1, 8)  # [n, 8]
    ones: npt.NDArray[np.uint8] = np.unpackbits(octets, axis=1).sum(axis=1, dtype=np.uint8)
    return ones
