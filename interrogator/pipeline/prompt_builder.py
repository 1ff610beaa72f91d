"""The modes: from an image embedding, a caption and a table of phrases to a prompt.

What each mode means is clip-interrogator's (github.com/pharmapsychotic/clip-interrogator); where that library's
results depend on the layout of a file, on chance or on a sign error, these follow the intention instead.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass

from torch import Tensor

from ..banks import FLAVORS
from ..chain import Candidate, Chain, grow
from ..duplicates import Repeats
from ..embeddings import KeepsTokens
from ..errors import RequestError
from ..models import Encoder
from ..modes import MIN_PHRASES, MODES, Mode
from ..progress import Progress, StickyProgress
from ..prompts import count_that_fit, join
from ..ranking import first_best
from ..rows import Indices
from .phrase_table import PhraseTable
from .scorer import Scorer

# How many phrases the chain chooses from: the reference's `flavor_intermediate_count`.
POOL = 2048
# Phrases looked through at a time, the most similar first, for those that repeat nothing.
_BLOCK = 512


@dataclass(frozen=True)
class SearchOptions:
    """How many phrases a mode takes, how wide it looks for them, and which it passes over.

    Passing over repeats goes for the phrases of best, fast and negative and for the flavors of classic; the words of
    the caption count as said. The other slots of classic are always filled: there is one best medium.

    Attributes:
        min_phrases: steps of the chain (best, negative) that may lower similarity.
        max_phrases: phrases at most.
        beams: prompts that the chain grows side by side; 1 is greedy.
        avoid_repeats: pass over a phrase all of whose words are in the prompt already.
        min_angle: degrees; pass over a phrase whose embedding is within this angle of one taken. 0 is off.
    """

    min_phrases: int
    max_phrases: int
    beams: int = 1
    avoid_repeats: bool = False
    min_angle: float = 0.0

    def __post_init__(self) -> None:
        if self.min_phrases < 0 or self.max_phrases < 0:
            raise RequestError("min_phrases and max_phrases cannot be negative")
        if self.beams < 1:
            raise RequestError(f"beams has to be at least 1, not {self.beams!r}")
        if not 0 <= self.min_angle <= 180:
            raise RequestError(f"min_angle has to be from 0 to 180 degrees, not {self.min_angle!r}")

    @property
    def passes_over(self) -> bool:
        """Whether any phrase may be passed over."""
        return self.avoid_repeats or self.min_angle > 0

    @classmethod
    def of(
        cls, mode: Mode, min_phrases: int = MIN_PHRASES, max_phrases: int | None = None, beams: int = 1,
        avoid_repeats: bool = False, min_angle: float = 0.0,
    ) -> SearchOptions:  # fmt: skip
        """What was asked of a mode; `max_phrases` None is the mode's default.

        Raises:
            RequestError: a number is out of its range.
        """
        most = MODES[mode].phrases if max_phrases is None else max_phrases
        return cls(min_phrases, most, beams, avoid_repeats, min_angle)


@dataclass(frozen=True)
class ScoredPrompt:
    """A prompt, its cosine with the image, and the positions in the table of the phrases in it."""

    prompt: str
    similarity: float
    positions: tuple[int, ...] = ()


class PromptBuilder:
    """One image before one table: what the modes share while a prompt is made."""

    def __init__(
        self, encoder: Encoder, table: PhraseTable, embedding: Tensor, caption: str, progress: Progress | None = None
    ) -> None:
        """Compare the image with all phrases.

        Args:
            embedding: of the image, [D].
            caption: fits the encoder's context.
        """
        self.encoder = encoder
        self.table = table
        self.embedding = embedding
        self.caption = caption
        self.progress = progress
        self.scores = table.scores(embedding)  # [N]

    def classic(self, search: SearchOptions) -> ScoredPrompt:
        """`{caption}, {medium} {artist}, {site}, {movement}, {flavors}`; a slot without a bank is left out."""
        medium, artist, site, movement = (
            self.table.top(self.scores, self.table.slot(role), 1)
            for role in ("mediums", "artists", "sites", "movements")
        )
        flavors = self._top(self.table.slot(FLAVORS), search, [*medium, *artist, *site, *movement])
        head, second = self.caption, [*medium, *artist]
        head_indices: tuple[int, ...] = ()
        if medium and head.startswith(self.table.texts[medium[0]]):
            # A caption that begins with the medium names it already: only the artist follows, without a comma.
            signed = " ".join([head, *self._texts(artist)])
            if self.encoder.fits(signed):
                head, head_indices = signed, tuple(artist)
            second = []
        groups = [group for group in (second, site, movement, *([f] for f in flavors)) if group]
        return self._fitted(head, head_indices, groups)

    def fast(self, search: SearchOptions) -> ScoredPrompt:
        """The caption and the phrases most like the image, whatever bank they come from."""
        tops = self._top(self.table.merged, search)
        return self._fitted(self.caption, (), [[index] for index in tops])

    def best(self, search: SearchOptions) -> ScoredPrompt:
        """The most similar of caption, classic, fast and a chain grown phrase by phrase."""
        pool = self.table.candidates(self.scores, self.table.merged, POOL)
        start = Chain(self.caption, self._similarity(self.caption) if self.caption else 0.0)
        scoreds = [self.classic(search), self.fast(search), self._grown(start, pool, search, sign=1)]
        if self.caption:
            scoreds.insert(0, ScoredPrompt(self.caption, start.score))
        scoreds = [scored for scored in scoreds if scored.prompt]
        if not scoreds:
            raise RequestError("there is no caption and no phrase that fits, so there is no prompt")
        scores = Scorer(self.encoder, self.embedding).texts([scored.prompt for scored in scoreds])
        index = first_best(scores)
        return ScoredPrompt(scoreds[index].prompt, float(scores[index]), scoreds[index].positions)

    def negative(self, search: SearchOptions) -> ScoredPrompt:
        """A prompt as unlike the image as can be, of flavors and the negative bank; the caption is not in it."""
        pool = self.table.negatives(self.scores, POOL)
        if not pool:
            raise RequestError("negative mode needs the bank negative or one of flavors")
        scored = self._grown(Chain("", 0.0), pool, search, sign=-1)
        if not scored.prompt:
            raise RequestError(
                "no phrase may be taken, so there is no negative prompt: raise max_phrases or the quotas"
            )
        return scored

    def _grown(self, start: Chain, pool: Sequence[int], search: SearchOptions, sign: int) -> ScoredPrompt:
        """A chain of the phrases at `pool`; `sign` -1 looks for the least similar prompt."""
        table = self.table
        at = dict(zip(table.texts_at(pool), pool, strict=True))
        if isinstance(self.encoder, KeepsTokens) and (known := table.tokens(pool)):
            self.encoder.remember_tokens(list(at), *known)
        candidates = {p: Candidate(text, table.banks[p].name, table.banks[p].quota) for text, p in at.items()}
        repeats = self._repeats(pool, search)
        steps = StickyProgress(self.progress) if self.progress else None
        score = Scorer(self.encoder, self.embedding, sign, steps.again if steps else None)

        def fresh(chain: Chain, left: Sequence[Candidate]) -> list[Candidate]:
            taken = [at[candidate.text] for candidate in chain.taken]
            return [candidates[p] for p in repeats.fresh([at[c.text] for c in left], chain.prompt, taken)]

        chain = grow(
            start, list(candidates.values()), score, self.encoder.fits, search.min_phrases, search.max_phrases,
            search.beams, fresh if search.passes_over else None, steps,
        )  # fmt: skip
        return ScoredPrompt(chain.prompt, sign * chain.score, tuple(at[taken.text] for taken in chain.taken))

    def _top(self, indices: Indices, search: SearchOptions, taken: Sequence[int] = ()) -> list[int]:
        """As many of `indices` as asked for, the most similar first, within quotas and less those passed over.

        Args:
            taken: indices of the phrases that stand in the prompt already.
        """
        if not search.passes_over:
            return self.table.top(self.scores, indices, search.max_phrases)
        chosen: list[int] = []
        for left in self._ranking(indices):
            repeats = self._repeats([*taken, *chosen, *left], search)
            while len(chosen) < search.max_phrases:
                used = [*taken, *chosen]
                left = repeats.fresh(self._within_quota(left, chosen), join(self.caption, *self._texts(used)), used)
                if not left:
                    break
                chosen.append(left.pop(0))
            if len(chosen) == search.max_phrases:
                break
        return chosen

    def _ranking(self, indices: Indices) -> Iterator[list[int]]:
        """`indices` from the most similar to the least, in blocks: few are ever looked at."""
        done = 0
        while done < len(indices):
            order = self.scores.highest(indices, max(_BLOCK, 4 * done))  # begins with the shorter one of before
            for start in range(done, len(order), _BLOCK):
                yield order[start : start + _BLOCK]
            done = len(order)

    def _within_quota(self, indices: Sequence[int], chosen: Sequence[int]) -> list[int]:
        banks = self.table.banks
        held = Counter(banks[index].name for index in chosen)
        return [p for p in indices if (quota := banks[p].quota) is None or held[banks[p].name] < quota]

    def _repeats(self, indices: Sequence[int], search: SearchOptions) -> Repeats:
        return Repeats(indices, self.table.texts, self.table.embeddings, search.avoid_repeats, search.min_angle)

    def _fitted(self, head: str, head_indices: tuple[int, ...], groups: Sequence[Sequence[int]]) -> ScoredPrompt:
        """Head and as many groups of phrases (words of a group go without a comma) as fit the context."""
        pieces = [" ".join(self._texts(group)) for group in groups]
        count = count_that_fit(head, pieces, self.encoder.fits)
        prompt = join(head, *pieces[:count])
        if not prompt:
            raise RequestError("there is no caption and no phrase that fits, so there is no prompt")
        indices = (*head_indices, *(index for group in groups[:count] for index in group))
        return ScoredPrompt(prompt, self._similarity(prompt), indices)

    def _similarity(self, text: str) -> float:
        return float(Scorer(self.encoder, self.embedding).texts([text])[0])

    def _texts(self, indices: Sequence[int]) -> list[str]:
        return self.table.texts_at(indices)


METHODS: dict[Mode, Callable[[PromptBuilder, SearchOptions], ScoredPrompt]] = {
    Mode.CLASSIC: PromptBuilder.classic,
    Mode.FAST: PromptBuilder.fast,
    Mode.BEST: PromptBuilder.best,
    Mode.NEGATIVE: PromptBuilder.negative,
}
