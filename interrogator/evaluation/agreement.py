"""Which phrases of two prompts say the same: by their words, and by the angle between their embeddings."""

from __future__ import annotations

import random
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
from torch import Tensor

from ..evidence import ClaimText, split_claims
from ..evidence.words import says

_SHARE_APART = 0.99
_PAIRS = 5000
_LEAST_PAIRS = 100

Rows = Mapping[str, npt.NDArray[np.float32]]
Flags = npt.NDArray[np.bool_]


def phrases_of(prompt: str) -> list[ClaimText]:
    """The phrases of a prompt, or the claims of a sentence in it, in order; those without a letter or digit left out.

    All prompts are cut by the same rules, `split_claims`, whoever wrote them.
    """
    return [claim for claim in split_claims(prompt) if any(map(str.isalnum, claim.text))]


@dataclass(frozen=True)
class Agreement:
    """What a prompt says of a true prompt.

    Attributes:
        said: whether each phrase of the true prompt is in one phrase of the prompt, with all its words.
        found: whether it is said, or meant: whether a phrase of the prompt is within the angle.
        right: whether each phrase of the prompt has all words of a phrase of the true prompt, or all its words are in
            one, or is within the angle of one.
    """

    said: Sequence[bool]
    found: Sequence[bool]
    right: Sequence[bool]


class Meanings:
    """Phrases with their embeddings, and the angle within which two mean the same.

    Attributes:
        angle: in degrees. Of pairs of phrases from true prompts of different pictures, of which neither has all words
            of the other, 99 of 100 are farther apart. None where the embeddings are not known, or with fewer than 100
            such pairs; then words alone decide.
    """

    def __init__(self, truths: Sequence[Sequence[str]], rows: Rows) -> None:
        """Measure the angle.

        Args:
            truths: the phrases of the true prompt of each picture.
            rows: unit embeddings of phrases by text: of all that are compared, or of none.
        """
        self._rows = rows
        self.angle: float | None = None
        pairs = [pair for pair in _pairs(truths) if not says(*pair) and not says(*reversed(pair))] if rows else []
        if len(pairs) >= _LEAST_PAIRS:
            cosines = [float(rows[first] @ rows[second]) for first, second in pairs]
            self.angle = float(np.degrees(np.arccos(np.clip(np.quantile(cosines, _SHARE_APART), -1, 1))))

    def compare(self, truth: Sequence[str], prompt: Sequence[str]) -> Agreement:
        """What a prompt says of a true prompt; both as phrases, of which the latter has one at least."""
        stated = np.array([[says(phrase, true) for phrase in prompt] for true in truth], dtype=np.bool_)
        within = np.array([[says(true, phrase) for phrase in prompt] for true in truth], dtype=np.bool_)
        stated, within = stated.reshape(len(truth), -1), within.reshape(len(truth), -1)  # [T, P], also for no phrase
        meant = self._meant(truth, prompt) if self.angle is not None and len(prompt) else np.zeros_like(stated)
        return Agreement(_any(stated, 1), _any(stated | meant, 1), _any(stated | within | meant, 0))

    def _meant(self, truth: Sequence[str], prompt: Sequence[str]) -> Flags:
        assert self.angle is not None
        cosines = np.stack([self._rows[text] for text in truth]) @ np.stack([self._rows[text] for text in prompt]).T
        close: Flags = cosines >= np.cos(np.radians(self.angle))
        return close


def _any(flags: Flags, axis: int) -> list[bool]:
    return [bool(each) for each in np.logical_or.reduce(flags, axis=axis)]


def embedded(texts: Iterable[str], encode: Callable[[Sequence[str]], Tensor]) -> Rows:
    """Unit embeddings of texts, each encoded once."""
    distinct = list(dict.fromkeys(texts))
    if not distinct:
        return {}
    rows = encode(distinct).float().cpu().numpy()  # [N, D]
    return dict(zip(distinct, rows, strict=True))


def _pairs(truths: Sequence[Sequence[str]]) -> list[tuple[str, str]]:
    """Pairs of phrases of different pictures: all where they are few, else a sample, the same each time."""
    known = [(number, text) for number, truth in enumerate(truths) for text in truth]
    if len(known) ** 2 <= 2 * _PAIRS:
        every = [(first, second) for at, first in enumerate(known) for second in known[:at]]
    else:
        rng = random.Random(0)
        every = [(rng.choice(known), rng.choice(known)) for _ in range(_PAIRS)]
    return [(first[1], second[1]) for first, second in every if first[0] != second[0]]
