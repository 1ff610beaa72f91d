"""The trie of a set of token sequences, cut into groups that attention can treat densely.

In a causal tower the states of a place depend only on the places before it, so texts that begin alike share the
places of their common beginning: a node of the trie is one such place. What all sequences begin with is the trunk.
The nodes behind it are laid out in groups of a fixed number of slots. The sequences of a group lie whole inside it,
so attention within a group is one dense product with a mask, and the few nodes that neighbouring groups have in
common are the price.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

Ints = npt.NDArray[np.int64]
Flags = npt.NDArray[np.bool_]


@dataclass(frozen=True)
class Trie:
    """Sequences as nodes: G groups of M slots, behind a trunk of T places.

    Attributes:
        trunk: [T] the tokens that all sequences begin with.
        tokens: [G, M] the token of each slot; -1 in slots that stay empty.
        before: [G, M] the token in front of it, of the trunk too; -1 where there is none.
        depths: [G, M] the place of each node in its sequences, counted from their start; 0 in empty slots.
        sees: [G, M, M] whether the node of a slot (row) stands at or behind another of its group (column) in one
            sequence; an empty slot sees itself, so that no row is empty.
        ends: [G, E] the slots at which sequences end; groups with fewer sequences repeat slot 0.
        where: [N] for each sequence the number of its end in `ends`, counted row by row.
        nodes: how many slots hold a node.
    """

    trunk: Ints
    tokens: Ints
    before: Ints
    depths: Ints
    sees: Flags
    ends: Ints
    where: Ints
    nodes: int

    @classmethod
    def of(cls, sequences: Ints, lengths: Ints, group: int) -> Trie:
        """Lay out sequences.

        Args:
            sequences: [N, L] tokens >= 0; what stands behind a sequence's length is ignored.
            lengths: [N], all >= 1.
            group: slots of a group; more where a sequence needs more, fewer where all nodes need fewer.
        """
        columns = np.arange(sequences.shape[1])
        inside = columns < lengths[:, None]  # [N, L]
        padded = np.where(inside, sequences, -1)
        trunk = _shared_beginning(padded, lengths)
        rows, where = _distinct(padded[:, trunk:])  # [U, L'], [N]: sorted, so neighbours share the most
        sizes = (rows >= 0).sum(axis=1)  # [U]
        shared = np.concatenate([[0], _shared(rows)])  # [U]: places in common with the row before

        slots = min(max(group, int(sizes.max())), int((sizes - shared).sum()))
        starts = _group_starts(sizes, shared, slots)  # [G]
        home = np.searchsorted(starts, np.arange(len(rows)), side="right") - 1  # [U]: the group of each row
        shared[starts] = 0
        places = _node_numbers(sizes, shared, starts, home, slots)  # [U, L']: slots, counted over all groups

        row, column = np.nonzero((columns[: rows.shape[1]] >= shared[:, None]) & (rows >= 0))  # [K]: one for each node
        node = places[row, column]  # [K]
        tokens = np.full(len(starts) * slots, -1)
        before, depths = np.full_like(tokens, -1), np.zeros_like(tokens)
        tokens[node], depths[node] = rows[row, column], column + trunk
        before[node] = np.where(column > 0, rows[row, column - 1], sequences[0, trunk - 1] if trunk else -1)
        sees = np.zeros((len(starts) * slots, slots), dtype=np.bool_)
        below = np.repeat(np.arange(len(node)), column + 1)  # a node once for each of its ancestors and itself
        above = np.arange(len(below)) - np.repeat(np.cumsum(column + 1) - (column + 1), column + 1)  # their columns
        sees[node[below], places[row[below], above] % slots] = True
        empty = np.flatnonzero(tokens < 0)
        sees[empty, empty % slots] = True

        last = places[np.arange(len(rows)), sizes - 1] % slots  # [U]
        number = np.arange(len(rows)) - starts[home]  # [U]: which of its group
        ends = np.zeros((len(starts), int(number.max()) + 1), dtype=np.int64)
        ends[home, number] = last
        return cls(
            sequences[0, :trunk],
            tokens.reshape(-1, slots),
            before.reshape(-1, slots),
            depths.reshape(-1, slots),
            sees.reshape(-1, slots, slots),
            ends,
            (home * ends.shape[1] + number)[where],
            len(node),
        )


def _shared_beginning(padded: Ints, lengths: Ints) -> int:
    """How many places all rows have in common, leaving each row at least one of its own; 0 for a single row."""
    if len(padded) == 1:
        return 0
    alike = (padded == padded[0]).all(axis=0)[: int(lengths.min()) - 1]
    return int(alike.argmin()) if not alike.all() else len(alike)


def _distinct(rows: Ints) -> tuple[Ints, Ints]:
    """The different rows of [N, L] in lexicographic order, a beginning before what it begins; and each one's number."""
    rows = rows[:, : max(1, int((rows >= 0).any(axis=0).sum()))]
    order = np.lexsort(rows.T[::-1])
    ordered = rows[order]
    fresh = np.concatenate([[True], (ordered[1:] != ordered[:-1]).any(axis=1)])
    where = np.empty(len(rows), dtype=np.int64)
    where[order] = np.cumsum(fresh) - 1
    return ordered[fresh], where


def _shared(rows: Ints) -> Ints:
    """How many places each row but the first has in common with the one before it."""
    alike = (rows[1:] == rows[:-1]) & (rows[1:] >= 0)
    shared: Ints = np.cumprod(alike, axis=1).sum(axis=1)
    return shared


def _group_starts(sizes: Ints, shared: Ints, slots: int) -> Ints:
    """The first row of each group: as many rows as `slots` can hold, the first of them whole."""
    fresh = np.cumsum(sizes - shared)  # nodes that rows up to this one add to the trie
    starts = [0]
    while True:
        start = starts[-1]
        room = slots - int(sizes[start]) + int(fresh[start])
        stop = int(np.searchsorted(fresh, room, side="right"))
        if stop >= len(sizes):
            return np.array(starts, dtype=np.int64)
        starts.append(stop)


def _node_numbers(sizes: Ints, shared: Ints, starts: Ints, home: Ints, slots: int) -> Ints:
    """The slot of every place of every row, [U, L'], counted over all groups; wrong behind a row's end."""
    before = np.cumsum(sizes - shared) - (sizes - shared)  # nodes of the rows before
    first = home * slots + before - before[starts][home]  # [U]: the slot of a row's first node of its own
    columns = np.arange(int(sizes.max()))
    own = np.where(columns >= shared[:, None], first[:, None] + columns - shared[:, None], 0)
    own[columns >= sizes[:, None]] = 0
    # Slots grow from row to row, so the last one above a shared place is the node that it shares.
    places: Ints = np.maximum.accumulate(own, axis=0)
    return places
