"""CausalTower: the text features of a loaded open_clip model, each distinct prefix computed once.

The model's own layers are called on the nodes of a trie instead of padded texts. Keys and values of the trunk, the
prefix of all texts of a call, are computed once; every group of nodes attends to them in one product per head.
"""

from __future__ import annotations

import logging
from collections.abc import Sequence
from typing import Any

import numpy as np
import torch
from torch import Tensor

from ..devices import is_out_of_memory, release_memory
from ..progress import Progress, watched
from ..threads import Lock
from .layers import Layer, View, embed, project
from .rules import Rules
from .trie import Flags, Ints, Trie

logger = logging.getLogger("interrogator")

# Slots per group: attention within a group takes as many products per node as slots, about 7 % of a layer 512 wide.
GROUP = 64
# Nodes that go through a layer together. More are no faster on a CPU, where the hidden layer of 2,048 nodes is 25 MB at
# ViT-L width, close to the cache size; a GPU needs more to be busy.
NODES_ON_CPU = 2048
NODES_ON_DEVICE = 32768


class CausalTower:
    """Runs the text side of a model whose text tower is causal; may be used by several threads at once.

    Attributes:
        nodes: number of nodes, including trunks, that have gone through the tower so far.
    """

    def __init__(self, model: Any) -> None:
        """Read the tower's rules; only a reference to the model is stored.

        Raises:
            NotCausal: the text tower is not causal or not of open_clip's own structure.
        """
        self.rules = Rules.of(model)
        self.nodes = 0
        self._chunk_limit: int | None = None  # nodes per chunk, once memory has run out
        self._lock = Lock()  # guards the two numbers

    @property
    def device(self) -> torch.device:
        return self.rules.tower.token_embedding.weight.device  # type: ignore[no-any-return]

    def features(self, ids: Tensor, in_float32: bool = False, progress: Progress | None = None) -> Tensor:
        """Features [N, D] of token ids [N, L], not normalised, as the model's `encode_text` has them.

        Args:
            ids: padded to the context, on any device.
            in_float32: compute with the weights converted to float32, one layer at a time.
            progress: called with (texts done, N) at the start, before each chunk and between layers; may raise to
                cancel.
        """
        transformer, report = watched(self.rules.tower.transformer, progress)
        layers = [Layer(block) for block in transformer.resblocks]
        report(0, len(ids))
        trie = Trie.of(*self.rules.sequences(ids.cpu().numpy()), GROUP)
        past = self._trunk(layers, trie.trunk, in_float32)
        parts: list[Tensor] = []
        groups, slots = trie.tokens.shape
        start = 0
        while start < groups:
            if start:
                report(len(ids) * start // groups, len(ids))
            count = min(max(1, self._chunk() // slots), groups - start)
            try:
                parts.append(self._ends(layers, trie, slice(start, start + count), past, in_float32))
                start += count
                continue
            except RuntimeError as error:
                if count == 1 or not is_out_of_memory(error):
                    raise
            self._shrink_chunks(count * slots, slots)  # out here the error, and all it held, is gone
        with self._lock:
            self.nodes += trie.nodes + len(trie.trunk)
        return torch.cat(parts)[torch.from_numpy(trie.where).to(self.device)]

    def _trunk(self, layers: Sequence[Layer], trunk: Ints, in_float32: bool) -> list[tuple[Tensor, Tensor]]:
        """Keys and values [1, T, W] of the trunk [T] for each layer; [] if there is no trunk."""
        if not len(trunk):
            return []
        visible = self._visible(trunk, np.insert(trunk, 0, -1)[:-1])
        mask = self._mask(np.tri(len(trunk), dtype=np.bool_) & visible)[None]  # [1, 1, T, T]
        x = self._embedded(trunk[None], np.arange(len(trunk))[None], in_float32)  # [1, T, W]
        past: list[tuple[Tensor, Tensor]] = []
        for layer in layers:
            x, key, value = layer.forward(x, View(mask), in_float32=in_float32)
            past.append((key, value))
        return past

    def _ends(
        self, layers: Sequence[Layer], trie: Trie, part: slice, past: list[tuple[Tensor, Tensor]], in_float32: bool
    ) -> Tensor:
        """Features [G * E, D] at the ends of the sequences in some groups of the trie."""
        tokens, trunk = trie.tokens[part], trie.trunk  # [G, M], [T]
        ahead = np.broadcast_to(self._visible(trunk, np.insert(trunk, 0, -1)[:-1]), (*tokens.shape, len(trunk)))
        own = trie.visible[part] & self._visible(tokens, trie.before[part])[:, None]  # [G, M, M]
        mask = self._mask(np.concatenate([ahead, own], axis=2))[:, None]  # [G, 1, M, T + M]
        x = self._embedded(tokens, trie.depths[part], in_float32)  # [G, M, W]
        for number, layer in enumerate(layers):
            ends = self._put(trie.ends[part]) if layer is layers[-1] else None  # [G, E]
            x, _, _ = layer.forward(x, View(mask, past[number] if past else None), ends, in_float32)
        return project(self.rules, x.flatten(0, 1), in_float32)  # [G, E, W] -> [G * E, D]

    def _embedded(self, tokens: Ints, depths: Ints, in_float32: bool) -> Tensor:
        positions = self.rules.positions(tokens, depths)
        return embed(self.rules, self._put(tokens), self._put(positions), in_float32)

    def _visible(self, tokens: Ints, before: Ints) -> Flags:
        return ~self.rules.hidden(tokens, before)

    def _mask(self, visible: Flags) -> Tensor:
        """An additive mask: 0 where visible, else -inf."""
        mask = torch.zeros(visible.shape, dtype=torch.float32, device=self.device)
        return mask.masked_fill_(~self._put(visible), float("-inf"))

    def _put(self, array: Any) -> Tensor:
        return torch.from_numpy(np.ascontiguousarray(array)).to(self.device)

    def _chunk(self) -> int:
        return self._chunk_limit or (NODES_ON_CPU if self.device.type == "cpu" else NODES_ON_DEVICE)

    def _shrink_chunks(self, nodes: int, slots: int) -> None:
        """Halve the chunks from now on, after `nodes` at a time, in groups of `slots`, were too many."""
        most = max(slots, nodes // 2)
        with self._lock:
            self._chunk_limit = min(most, self._chunk_limit or most)
        logger.info("out of memory with %d text nodes at a time; continuing with %d", nodes, most)
        release_memory(self.device)
