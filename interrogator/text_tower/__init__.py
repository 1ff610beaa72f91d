"""Exact text encoding that shares its work: every distinct beginning of a set of texts is computed once.

trie.py     token sequences as nodes, in groups that attention treats densely
rules.py    mask, positions and pooling, read off the loaded modules
layers.py   the model's own layers, called on nodes
tower.py    CausalTower: token ids in, features out, bounded in memory
"""

from __future__ import annotations

from .rules import NotCausal
from .tower import CausalTower

__all__ = ["CausalTower", "NotCausal"]
