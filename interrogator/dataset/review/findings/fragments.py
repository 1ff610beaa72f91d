"""Runs of words that are in nearly every caption: training makes them part of everything."""

from __future__ import annotations

from collections.abc import Sequence

SHORTEST, LONGEST = 2, 6
SHARE = 0.8
FEWEST_CAPTIONS = 5
_MOST_FRAGMENTS = 20
# Fragments are sorted out after so many captions. What stands in 80 % of all is never among those, unless captions are
# sorted by it; then up to one caption in `_BUCKET` is not counted (lossy counting, Manku and Motwani 2002).
_BUCKET = 1000
# Words that join others: a fragment of nothing else binds nothing.
_JOINING = frozenset("a an and at by for from in is of on the to with".split())


class Fragments:
    """Counts runs of 2 to 6 words by the captions they stand in, in memory that does not grow with the run."""

    def __init__(self) -> None:
        self.captions = 0
        self._counts: dict[str, int] = {}
        self._missed: dict[str, int] = {}  # captions before a fragment was first counted, in buckets

    def add(self, words: Sequence[str]) -> None:
        """Count the fragments of one caption."""
        self.captions += 1
        counts = self._counts
        past = self.captions // _BUCKET
        for fragment in _fragments(words):
            if fragment in counts:
                counts[fragment] += 1
            else:
                counts[fragment] = 1
                if past:
                    self._missed[fragment] = past
        if self.captions % _BUCKET == 0:
            self._sort_out()

    def frequent(self, known: Sequence[Sequence[str]] = ()) -> list[tuple[str, int]]:
        """Fragments in at least 80 % of the captions with their counts, the most frequent first.

        At most 20; of a fragment inside another one only the longer, and none that is only of joining words ("on a").

        Args:
            known: lists of words meant to stand in every caption, such as a prefix; what is within one, or has less
                than two words beside it, is left out.
        """
        if self.captions < FEWEST_CAPTIONS:
            return []
        enough = {fragment for fragment, count in self._counts.items() if count >= SHARE * self.captions}
        longest = [one for one in enough if not any(_inside(one, other) for other in enough if other != one)]
        meant = [" ".join(words) for words in known]
        reported = [
            one
            for one in longest
            if not any(_inside(one, text) or _beside(one, text) < SHORTEST for text in meant)
            and not _JOINING.issuperset(one.split())
        ]
        return sorted(((one, self._counts[one]) for one in reported), key=lambda pair: (-pair[1], pair[0]))[
            :_MOST_FRAGMENTS
        ]

    def _sort_out(self) -> None:
        past = self.captions // _BUCKET
        rare = [one for one, count in self._counts.items() if count + self._missed.get(one, 0) <= past]
        for one in rare:
            del self._counts[one]
            self._missed.pop(one, None)


def _fragments(words: Sequence[str]) -> set[str]:
    return {
        " ".join(words[start : start + size])
        for size in range(SHORTEST, LONGEST + 1)
        for start in range(len(words) - size + 1)
    }


def _inside(short: str, long: str) -> bool:
    return f" {short} " in f" {long} "


def _beside(fragment: str, text: str) -> int:
    """How many words a fragment has beside those of a text."""
    return len(f" {fragment} ".replace(f" {text} ", " ").split())
