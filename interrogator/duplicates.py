"""Repeats: phrases that would repeat what a prompt already says. Strings and tensor rows only, no models."""

from __future__ import annotations

import math
import re
from collections.abc import Callable, Sequence
from functools import cache
from itertools import compress

from torch import Tensor
from torch.nn.functional import normalize

# A run of letters and digits of any script; `\w` less the underscore.
_WORD = re.compile(r"[^\W_]+")


def words(text: str) -> frozenset[str]:
    """The words of a text, casefolded: its runs of letters and digits."""
    return frozenset(_WORD.findall(text.casefold()))


class Repeats:
    """Decides which phrases of a table repeat a prompt; with both rules off, none do."""

    def __init__(
        self,
        positions: Sequence[int],
        texts: Sequence[str],
        embeddings: Callable[[Sequence[int]], Tensor],
        by_words: bool = False,
        min_angle: float = 0.0,
    ) -> None:
        """Set the rules.

        Args:
            positions: table positions of all phrases to be checked or already taken, n of them.
            texts: the phrases of the table [N].
            embeddings: their rows: positions [n] -> [n, D], of any float dtype and about unit length.
            by_words: a phrase repeats a prompt that contains all of its words, in any order and however far apart:
                "by Claude Monet" repeats "by Claude Lorrain, Monet's garden". A phrase without words repeats nothing.
            min_angle: in degrees; a phrase repeats a taken phrase whose embedding is within this angle of its own. 0
                turns the rule off.
        """
        self._positions = list(positions)
        self._by_words = by_words
        self._min_angle = min_angle
        # A search checks the same phrases again after each one it takes.
        self._words = cache(lambda position: words(texts[position]))
        self._near = cache(self._near_to)
        if min_angle > 0:
            # Rounding to fp16 changes lengths enough to hide an angle of a tenth of a degree.
            self._rows = normalize(embeddings(self._positions).float())  # [n, D]

    def fresh(self, positions: Sequence[int], prompt: str, taken: Sequence[int]) -> list[int]:
        """The `positions` whose phrases repeat neither the prompt nor the phrases taken for it, in order.

        Args:
            prompt: the caption and the phrases taken so far.
            taken: positions of the phrases in the prompt; the angle rule does not apply to the caption.
        """
        left = list(positions)
        if self._by_words:
            used = words(prompt)
            left = [position for position in left if not (own := self._words(position)) or own - used]
        if self._min_angle > 0:
            near = set[int]().union(*map(self._near, taken))
            left = [position for position in left if position not in near]
        return left

    def _near_to(self, position: int) -> set[int]:
        cosines = self._rows @ self._rows[self._positions.index(position)]  # [n, D] @ [D] -> [n]
        near = cosines >= math.cos(math.radians(self._min_angle))  # [n]
        return set(compress(self._positions, near.tolist()))
