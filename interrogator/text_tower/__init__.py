"""Exact text encoding that shares work: every distinct prefix of a set of texts is computed once.

trie     token sequences as nodes, in groups that attention treats densely
rules    mask, positions and pooling, read off the loaded modules
layers   the model's own layers, called on nodes
tower    CausalTower: token ids in, features out, with bounded memory
"""

from __future__ import annotations

from .rules import NotCausal
from .tower import CausalTower

__all__ = ["CausalTower", "NotCausal"]
