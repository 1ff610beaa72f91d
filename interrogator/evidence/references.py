"""References: what is kept of pictures and their captions to learn from, as embeddings only.

A bounded sample of all pictures that were read: those whose embeddings have the lowest digests (a bottom-k sketch,
Cohen and Kaplan 2007). So the sample follows from the set of pictures alone, whatever their order, their batches and
the processes that read them; a picture that was read twice is in it once.
"""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
import torch
from torch import Tensor

from .calibration import MAX_REFERENCES, MIN_REFERENCES, Calibration

MOST_CLAIMS = 8
"""Claims kept of a caption, its first ones: more of one picture tell little that those of others do not."""

SIZES = (MIN_REFERENCES, 50, 100, 200, MAX_REFERENCES)
"""Numbers of references at which a calibration is learned: each time what it says gets about half as uncertain."""

# Cosines from which on two rows are of one picture, or of one text: rounding moves them by less, another text by more.
_SAME_PICTURE, _SAME_TEXT = 1 - 1e-4, 1 - 5e-4
_KEY_BYTES = 16

Numbers = npt.NDArray[np.int64]
Flags = npt.NDArray[np.bool_]


@dataclass(frozen=True, eq=False)
class References:
    """Embeddings of pictures and of what their captions claim; no picture and no word.

    Attributes:
        images: [R, D] float16 on the CPU, by ascending digest.
        claims: [T, D] float16 on the CPU, picture after picture.
        ends: where the claims of each picture end, [R]; each has at least one.
    """

    images: Tensor
    claims: Tensor
    ends: Numbers

    def __len__(self) -> int:
        return len(self.images)

    @classmethod
    def none(cls, width: int) -> References:
        """Those of no picture. width: D, the length of an embedding."""
        return cls(torch.zeros(0, width).half(), torch.zeros(0, width).half(), np.zeros(0, dtype=np.int64))

    @classmethod
    def of(cls, images: Tensor, claims: Sequence[Tensor]) -> References:
        """Pictures with the embeddings [R, D] and those of their claims, [c, D] each; one without claims is left out.

        Also left out are pictures and claims whose embeddings are not finite.
        """
        rows = images.detach().float().cpu().half()
        kept = [each.detach().float().cpu().half()[:MOST_CLAIMS] for each in claims]
        kept = [each[torch.isfinite(each).all(dim=-1)] for each in kept]
        used = [number for number, each in enumerate(kept) if len(each) and bool(torch.isfinite(rows[number]).all())]
        return cls._of([(rows[number], kept[number]) for number in used], int(rows.shape[-1]))

    @property
    def width(self) -> int:
        """D, the length of an embedding."""
        return int(self.images.shape[1])

    def joined(self, *others: References) -> References:
        """The sample of the pictures of all, each once."""
        return self._of([pair for each in (self, *others) for pair in each._pairs()], self.width)

    def without(self, others: References) -> References:
        """Those whose pictures are not among others."""
        if not len(self) or not len(others):
            return self
        known = _any(_products(self.images, others.images) >= _SAME_PICTURE)
        return self._of([pair for pair, is_known in zip(self._pairs(), known, strict=True) if not is_known], self.width)

    def admits(self, images: Tensor) -> Flags:
        """Which of the pictures with these embeddings [n, D] would be in the sample, and are not."""
        rows = images.detach().float().cpu().half()
        known = _any(_products(rows, self.images) >= _SAME_PICTURE)
        if len(self) < MAX_REFERENCES:
            return ~known
        highest = _key(self.images[-1])
        return ~known & np.array([_key(row) < highest for row in rows], dtype=np.bool_)

    def calibration(self) -> Calibration:
        """What they show of their encoder. Raises what `Calibration.of` raises."""
        return Calibration.of_claims(self.images, *self._distinct())

    def is_due(self, learned: int, known: Calibration | None) -> bool:
        """Whether they show more than what was learned from them before.

        They do at a few sizes, and once half of the pictures are others.

        Args:
            learned: how many there were then; 0 if nothing was learned yet.
            known: what was learned; None if it was nothing.
        """
        if max((size for size in SIZES if size <= len(self)), default=0) > learned:
            return True
        if known is None or len(self) < SIZES[-1]:
            return False
        left = _any(_products(known.references, self.images) >= _SAME_PICTURE)
        return int(left.sum()) <= len(left) // 2

    def _distinct(self) -> tuple[Tensor, list[Numbers]]:
        """The rows of the claims, each text once, float32 [C, D], and the numbers of those of each picture."""
        rows = torch.empty(len(self.claims), self.width)  # of the texts seen so far, the first `count`
        count = 0
        own: list[Numbers] = []
        for _, claims in self._pairs():
            numbers = []
            for claim in claims.float():
                products = rows[:count] @ claim
                near = int(products.argmax()) if count else -1
                if near < 0 or float(products[near]) < _SAME_TEXT:
                    near = count
                    rows[near] = claim
                    count += 1
                numbers.append(near)
            own.append(np.unique(np.array(numbers, dtype=np.int64)))
        return rows[:count], own

    def _pairs(self) -> list[tuple[Tensor, Tensor]]:
        """Each picture's embedding [D] and those of its claims [c, D]."""
        starts = [0, *self.ends.tolist()]
        return [
            (image, self.claims[start:end]) for image, start, end in zip(self.images, starts, starts[1:], strict=False)
        ]

    @classmethod
    def _of(cls, pairs: Sequence[tuple[Tensor, Tensor]], width: int) -> References:
        """The sample of pictures with their claims."""
        # Two captions of one picture: that with the lower digest, which does not hang on the order either.
        ordered = sorted(pairs, key=lambda pair: (_key(pair[0]), _key(pair[1])))
        images = torch.stack([image for image, _ in ordered]) if ordered else torch.zeros(0, width).half()
        taken = _first_of_each(images)[:MAX_REFERENCES]
        if not taken:
            return cls.none(width)
        claims = [ordered[number][1] for number in taken]
        ends = np.cumsum([len(each) for each in claims], dtype=np.int64)
        return cls(images[taken].contiguous(), torch.cat(claims).contiguous(), ends)


def _first_of_each(images: Tensor) -> list[int]:
    """The numbers of pictures [R, D], ascending, without those that are the same as an earlier one."""
    same = np.tril(_products(images, images) >= _SAME_PICTURE, -1)  # [R, R]
    doubtful = _any(same)
    is_taken = ~doubtful
    for number in np.flatnonzero(doubtful):
        is_taken[number] = not (same[number] & is_taken).any()
    taken: list[int] = np.flatnonzero(is_taken).tolist()
    return taken


def _any(flags: Flags) -> Flags:
    """Whether any flag of a row is set, [n] of [n, m]."""
    found: Flags = np.asarray(flags.any(axis=1))
    return found


def _products(rows: Tensor, others: Tensor) -> npt.NDArray[np.float32]:
    """Cosines [n, m] of unit rows [n, D] and [m, D]."""
    found: npt.NDArray[np.float32] = (rows.float() @ others.float().T).numpy()
    return found


def _key(rows: Tensor) -> bytes:
    """The digest of embeddings."""
    return hashlib.blake2b(rows.contiguous().numpy().tobytes(), digest_size=_KEY_BYTES).digest()
