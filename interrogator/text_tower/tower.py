"""CausalTower: the text features of a loaded open_clip model, each distinct beginning computed once.

The model's own layers are called on the nodes of a trie in place of padded texts. Keys and values of the trunk, what
all texts of a call begin with, are computed once and kept; every group of nodes meets them in one product per head.
"""

from __future__ import annotations

import logging
from collections.abc import Callable
from typing import Any

import numpy as np
import torch
from torch import Tensor

from ..devices import is_out_of_memory, release_memory
from .layers import Layer, View, called, embed, project
from .rules import Rules
from .trie import Flags, Ints, Trie

logger = logging.getLogger("interrogator")

# Slots of a group: attention inside one costs as many products as slots, so about 7 % of a layer 512 wide.
GROUP = 64
# Nodes that go through a layer together. More gain no speed on a CPU, where the hidden layer of 2,048 nodes is 25 MB
# at ViT-L width and near the caches; a GPU wants more to have something to do.
NODES_ON_CPU = 2048
NODES_ON_DEVICE = 32768

Tell = Callable[[int, int], None]


class CausalTower:
    """Runs the text side of a model whose text tower is causal.

    Attributes:
        nodes: how many nodes, trunks included, went through the tower so far.
    """

    def __init__(self, model: Any) -> None:
        """Read the tower's rules; the model is only referred to.

        Raises:
            NotCausal: there is no causal tower of open_clip's own structure.
        """
        self.rules = Rules.of(model)
        self.nodes = 0
        self._layers = [Layer(block) for block in self.rules.tower.transformer.resblocks]
        self._most: int | None = None  # nodes a chunk, once memory has run out

    @property
    def device(self) -> torch.device:
        return self.rules.tower.token_embedding.weight.device  # type: ignore[no-any-return]

    def features(self, ids: Tensor, in_float32: bool = False, tell: Tell | None = None) -> Tensor:
        """Features [N, D] of token ids [N, L], not normalised, as the model's `encode_text` has them.

        Args:
            ids: padded to the context, on any device.
            in_float32: compute with the weights raised to float32, one layer at a time.
            tell: called with (texts done, N) at the start and before each chunk; may raise to cancel.
        """
        if tell:
            tell(0, len(ids))
        trie = Trie.of(*self.rules.sequences(ids.cpu().numpy()), GROUP)
        past = self._trunk(trie.trunk, in_float32)
        parts: list[Tensor] = []
        groups, slots = trie.tokens.shape
        start = 0
        while start < groups:
            if tell and start:
                tell(len(ids) * start // groups, len(ids))
            count = min(max(1, self._chunk() // slots), groups - start)
            try:
                parts.append(self._ends(trie, slice(start, start + count), past, in_float32))
                start += count
                continue
            except RuntimeError as error:
                if count == 1 or not is_out_of_memory(error):
                    raise
            self._take_less(count * slots, slots)  # out here the error is gone, and with it all that the chunk held
        self.nodes += trie.nodes + len(trie.trunk)
        return torch.cat(parts)[torch.from_numpy(trie.where).to(self.device)]

    def _trunk(self, trunk: Ints, in_float32: bool) -> list[tuple[Tensor, Tensor]]:
        """Keys and values [1, T, W] of the trunk [T] for each layer; none where there is no trunk."""
        if not len(trunk):
            return []
        seen = self._seen(trunk, np.insert(trunk, 0, -1)[:-1])
        mask = self._mask(np.tri(len(trunk), dtype=np.bool_) & seen)[None]  # [1, 1, T, T]
        x = self._embedded(trunk[None], np.arange(len(trunk))[None], in_float32)  # [1, T, W]
        past: list[tuple[Tensor, Tensor]] = []
        for layer in self._layers:
            x, key, value = called(layer, in_float32, x, View(mask))
            past.append((key, value))
        return past

    def _ends(self, trie: Trie, part: slice, past: list[tuple[Tensor, Tensor]], in_float32: bool) -> Tensor:
        """Features [G * E, D] at the ends of some groups of the trie."""
        tokens, trunk = trie.tokens[part], trie.trunk  # [G, M], [T]
        ahead = np.broadcast_to(self._seen(trunk, np.insert(trunk, 0, -1)[:-1]), (*tokens.shape, len(trunk)))
        own = trie.sees[part] & self._seen(tokens, trie.before[part])[:, None]  # [G, M, M]
        mask = self._mask(np.concatenate([ahead, own], axis=2))[:, None]  # [G, 1, M, T + M]
        x = self._embedded(tokens, trie.depths[part], in_float32)  # [G, M, W]
        for number, layer in enumerate(self._layers):
            ends = self._put(trie.ends[part]) if layer is self._layers[-1] else None  # [G, E]
            x, _, _ = called(layer, in_float32, x, View(mask, past[number] if past else None), ends)
        return project(self.rules, x.flatten(0, 1), in_float32)  # [G, E, W] -> [G * E, D]

    def _embedded(self, tokens: Ints, depths: Ints, in_float32: bool) -> Tensor:
        positions = self.rules.positions(tokens, depths)
        return embed(self.rules, self._put(tokens), self._put(positions), in_float32)

    def _seen(self, tokens: Ints, before: Ints) -> Flags:
        return ~self.rules.hidden(tokens, before)

    def _mask(self, seen: Flags) -> Tensor:
        """0 where seen, else -inf."""
        mask = torch.zeros(seen.shape, device=self.device)
        return mask.masked_fill_(~self._put(seen), float("-inf"))

    def _put(self, array: Any) -> Tensor:
        return torch.from_numpy(np.ascontiguousarray(array)).to(self.device)

    def _chunk(self) -> int:
        return self._most or (NODES_ON_CPU if self.device.type == "cpu" else NODES_ON_DEVICE)

    def _take_less(self, nodes: int, slots: int) -> None:
        """Halve the chunks from now on: `nodes` at a time, `slots` of them a group, were too many."""
        self._most = max(slots, nodes // 2)
        logger.info("out of memory with %d text nodes at a time; going on with %d", nodes, self._most)
        release_memory(self.device)
