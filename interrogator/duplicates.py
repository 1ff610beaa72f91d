"""Repeats: phrases that would say again what a prompt already says. Strings and tensor rows only, no models."""

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
    """Which of some phrases of a table repeat a prompt; with neither rule on, none does."""

    def __init__(
        self,
        indices: Sequence[int],
        texts: Sequence[str],
        embeddings: Callable[[Sequence[int]], Tensor],
        by_words: bool = False,
        min_angle: float = 0.0,
    ) -> None:
        """Set the rules.

        Args:
            indices: of the phrases that will be asked about or are taken, n of them.
            texts: the phrases of the table [N].
            embeddings: their rows: indices [n] -> [n, D], of any float dtype and about unit length.
            by_words: a phrase repeats a prompt that holds all of its words, in whatever order and however far apart:
                after "by Claude Lorrain, Monet's garden" that goes for "by Claude Monet" too. A phrase without any
                word repeats nothing.
            min_angle: degrees; a phrase repeats those phrases taken whose embeddings are within this angle of its own.
                At 0 none does.
        """
        self._indices = list(indices)
        self._by_words = by_words
        self._min_angle = min_angle
        # A search asks the same again after every phrase it takes.
        self._words = cache(lambda index: words(texts[index]))
        self._near = cache(self._near_to)
        if min_angle > 0:
            # Rounding to fp16 moves their lengths by enough to hide an angle of a tenth of a degree.
            self._rows = normalize(embeddings(self._indices).float())  # [n, D]

    def fresh(self, indices: Sequence[int], prompt: str, taken: Sequence[int]) -> list[int]:
        """Those of `indices` that repeat neither the prompt nor the phrases taken for it, in their order.

        Args:
            prompt: what has been said: the caption and the phrases taken.
            taken: indices of the phrases in the prompt; a caption is no phrase and has no angle here.
        """
        kept = list(indices)
        if self._by_words:
            said = words(prompt)
            kept = [index for index in kept if not (own := self._words(index)) or own - said]
        if self._min_angle > 0:
            near = set[int]().union(*map(self._near, taken))
            kept = [index for index in kept if index not in near]
        return kept

    def _near_to(self, index: int) -> set[int]:
        cosines = self._rows @ self._rows[self._indices.index(index)]  # [n, D] @ [D] -> [n]
        near = cosines >= math.cos(math.radians(self._min_angle))  # [n]
        return set(compress(self._indices, near.tolist()))
