"""The trie of a set of token sequences, divided into groups that attention can treat densely.

In a causal tower the state at a position depends only on the positions before it, so texts with a common prefix share
the states of that prefix: each is one node of the trie. The prefix of all sequences is the trunk. The nodes after it
are laid out in groups of a fixed number of slots. Each sequence lies entirely within one group, so attention within a
group is one dense product with a mask, at the price of the few nodes that neighbouring groups both contain.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

Ints = npt.NDArray[np.int64]
Flags = npt.NDArray[np.bool_]


@dataclass(frozen=True)
class Trie:
    """Sequences as nodes: G groups of M slots, after a trunk of T tokens.

    Attributes:
        trunk: [T] the tokens that all sequences begin with.
        tokens: [G, M] the token in each slot; -1 in empty slots.
        before: [G, M] the token before it in its sequence, possibly of the trunk; -1 if there is none.
        depths: [G, M] the position of each node in its sequences, counted from their start; 0 in empty slots.
        visible: [G, M, M] whether the node of a slot (row) is, or comes after, another node of its group (column) in a
            sequence; an empty slot sees itself, so that no row is empty.
        ends: [G, E] the slots at which sequences end; groups with fewer sequences repeat slot 0.
        where: [N] for each sequence the index of its end in the flattened `ends`.
        nodes: number of slots that hold a node.
    """

    trunk: Ints
    tokens: Ints
    before: Ints
    depths: Ints
    visible: Flags
    ends: Ints
    where: Ints
    nodes: int

    @classmethod
    def of(cls, sequences: Ints, lengths: Ints, group: int) -> Trie:
        """Lay out sequences.

        Args:
            sequences: [N, L] tokens >= 0; tokens beyond a sequence's length are ignored.
            lengths: [N], all >= 1.
            group: number of slots per group; more if a sequence needs more, fewer if all nodes need fewer.
        """
        columns = np.arange(sequences.shape[1])
        inside = columns < lengths[:, None]  # [N, L]
        padded = np.where(inside, sequences, -1)
        trunk = _shared_beginning(padded, lengths)
        rows, where = _distinct(padded[:, trunk:])  # [U, L'], [N]: sorted, so neighbours share the most
        sizes = (rows >= 0).sum(axis=1)  # [U]
        shared = np.concatenate([[0], _shared(rows)])  # [U]: length of the prefix shared with the row before

        slots = min(max(group, int(sizes.max())), int((sizes - shared).sum()))
        starts = _group_starts(sizes, shared, slots)  # [G]
        home = np.searchsorted(starts, np.arange(len(rows)), side="right") - 1  # [U]: the group of each row
        shared[starts] = 0
        node_slots = _node_numbers(sizes, shared, starts, home, slots)  # [U, L'], counted over all groups

        row, column = np.nonzero((columns[: rows.shape[1]] >= shared[:, None]) & (rows >= 0))  # [K]: one for each node
        node = node_slots[row, column]  # [K]
        tokens = np.full(len(starts) * slots, -1)
        before, depths = np.full_like(tokens, -1), np.zeros_like(tokens)
        tokens[node], depths[node] = rows[row, column], column + trunk
        before[node] = np.where(column > 0, rows[row, column - 1], sequences[0, trunk - 1] if trunk else -1)
        visible = np.zeros((len(starts) * slots, slots), dtype=np.bool_)
        below = np.repeat(np.arange(len(node)), column + 1)  # a node once for each of its ancestors and itself
        above = np.arange(len(below)) - np.repeat(np.cumsum(column + 1) - (column + 1), column + 1)  # their columns
        visible[node[below], node_slots[row[below], above] % slots] = True
        empty = np.flatnonzero(tokens < 0)
        visible[empty, empty % slots] = True

        last = node_slots[np.arange(len(rows)), sizes - 1] % slots  # [U]
        number = np.arange(len(rows)) - starts[home]  # [U]: which of its group
        ends = np.zeros((len(starts), int(number.max()) + 1), dtype=np.int64)
        ends[home, number] = last
        return cls(
            sequences[0, :trunk],
            tokens.reshape(-1, slots),
            before.reshape(-1, slots),
            depths.reshape(-1, slots),
            visible.reshape(-1, slots, slots),
            ends,
            (home * ends.shape[1] + number)[where],
            len(node),
        )


def _shared_beginning(padded: Ints, lengths: Ints) -> int:
    """Length of the prefix that all rows share, leaving each row at least one token of its own; 0 for a single row."""
    if len(padded) == 1:
        return 0
    alike = (padded == padded[0]).all(axis=0)[: int(lengths.min()) - 1]
    return int(alike.argmin()) if not alike.all() else len(alike)


def _distinct(rows: Ints) -> tuple[Ints, Ints]:
    """The distinct rows [U, L'] of [N, L] in lexicographic order, prefixes first; and the index of each row [N]."""
    rows = rows[:, : max(1, int((rows >= 0).any(axis=0).sum()))]
    order = np.lexsort(rows.T[::-1])
    ordered = rows[order]
    fresh = np.concatenate([[True], (ordered[1:] != ordered[:-1]).any(axis=1)])
    where = np.empty(len(rows), dtype=np.int64)
    where[order] = np.cumsum(fresh) - 1
    return ordered[fresh], where


def _shared(rows: Ints) -> Ints:
    """For each row except the first, the length of the prefix that it shares with the row before."""
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
    """The slot of every token of every row, [U, L'], counted over all groups; undefined beyond a row's end."""
    before = np.cumsum(sizes - shared) - (sizes - shared)  # nodes of the rows before
    first = home * slots + before - before[starts][home]  # [U]: the slot of a row's first node of its own
    columns = np.arange(int(sizes.max()))
    own = np.where(columns >= shared[:, None], first[:, None] + columns - shared[:, None], 0)
    own[columns >= sizes[:, None]] = 0
    # Slots increase from row to row, so the last one above a shared position is the shared node.
    node_slots: Ints = np.maximum.accumulate(own, axis=0)
    return node_slots
