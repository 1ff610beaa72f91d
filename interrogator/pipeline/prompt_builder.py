"""The search modes: from an image embedding, a caption and a table of phrases to a prompt.

The modes are those of clip-interrogator (github.com/pharmapsychotic/clip-interrogator). Where its results depend on
the layout of a file, on chance or on a sign error, these follow its intention instead.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass

from torch import Tensor

from ..banks import FLAVORS
from ..chain import Candidate, Chain, grow
from ..duplicates import Repeats
from ..embeddings import TokenCache
from ..errors import RequestError
from ..models import Encoder
from ..modes import MIN_PHRASES, MODES, STRICTNESS, Mode
from ..progress import Progress, StickyProgress
from ..prompts import count_that_fit, join
from ..ranking import first_best
from ..rows import Positions
from .phrase_table import PhraseTable
from .scorer import Scorer

# Number of phrases the chain chooses from: the reference's `flavor_intermediate_count`.
POOL = 2048
# Phrases checked for repeats at a time, the most similar first.
_BLOCK = 512


@dataclass(frozen=True)
class SearchOptions:
    """How many phrases a mode takes, how widely it searches, and which phrases it skips.

    Repeats are skipped among the phrases of best and fast and the flavors of classic; words of the caption
    count as used. The other slots of classic are always filled: there is one best medium.

    Attributes:
        min_phrases: number of chain steps (best) that may lower similarity.
        max_phrases: maximum number of phrases.
        beams: number of prompts that the chain grows side by side; 1 is greedy.
        avoid_repeats: skip a phrase whose words are all in the prompt already.
        min_angle: in degrees; skip a phrase whose embedding is within this angle of one taken. 0 is off.
        strictness: share of the accepted phrases that may be false (precise), or how likely a style may still be true
            (negative).
    """

    min_phrases: int
    max_phrases: int
    beams: int = 1
    avoid_repeats: bool = False
    min_angle: float = 0.0
    strictness: float = STRICTNESS

    def __post_init__(self) -> None:
        if self.min_phrases < 0 or self.max_phrases < 0:
            raise RequestError("min_phrases and max_phrases must not be negative")
        if self.beams < 1:
            raise RequestError(f"beams must be at least 1, got {self.beams!r}")
        if not 0 <= self.min_angle <= 180:
            raise RequestError(f"min_angle must be between 0 and 180 degrees, got {self.min_angle!r}")
        if not 0 < self.strictness < 1:
            raise RequestError(f"strictness must be above 0 and below 1, got {self.strictness!r}")

    @property
    def skips_repeats(self) -> bool:
        """Whether any phrase may be skipped as a repeat."""
        return self.avoid_repeats or self.min_angle > 0

    @classmethod
    def of(
        cls, mode: Mode, min_phrases: int = MIN_PHRASES, max_phrases: int | None = None, beams: int = 1,
        avoid_repeats: bool = False, min_angle: float = 0.0, strictness: float = STRICTNESS,
    ) -> SearchOptions:  # fmt: skip
        """Options for a mode; `max_phrases` None is the mode's default.

        Raises:
            RequestError: a number is out of range.
        """
        most = MODES[mode].phrases if max_phrases is None else max_phrases
        return cls(min_phrases, most, beams, avoid_repeats, min_angle, strictness)


@dataclass(frozen=True)
class ScoredPrompt:
    """A prompt and what it is made of.

    Attributes:
        similarity: its cosine with the image.
        positions: table positions of its phrases.
        evidence: of each of these phrases, in mode precise.
        remarks: on the prompt; see `Interrogation`.
    """

    prompt: str
    similarity: float
    positions: tuple[int, ...] = ()
    evidence: tuple[float, ...] = ()
    remarks: tuple[str, ...] = ()


class PromptBuilder:
    """Builds prompts for one image from one table: what the modes share."""

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
        head_positions: tuple[int, ...] = ()
        if medium and head.startswith(self.table.texts[medium[0]]):
            # The caption already begins with the medium, so only the artist follows, without a comma.
            with_artist = " ".join([head, *self._texts(artist)])
            if self.encoder.fits(with_artist):
                head, head_positions = with_artist, tuple(artist)
            second = []
        groups = [group for group in (second, site, movement, *([f] for f in flavors)) if group]
        return self._fitted(head, head_positions, groups)

    def fast(self, search: SearchOptions) -> ScoredPrompt:
        """The caption and the phrases most similar to the image, from any bank."""
        tops = self._top(self.table.merged, search)
        return self._fitted(self.caption, (), [[position] for position in tops])

    def best(self, search: SearchOptions) -> ScoredPrompt:
        """The most similar of caption, classic, fast and a chain grown phrase by phrase."""
        pool = self.table.candidates(self.scores, self.table.merged, POOL)
        start = Chain(self.caption, self.similarity(self.caption) if self.caption else 0.0)
        prompts = [self.classic(search), self.fast(search), self._grown(start, pool, search)]
        if self.caption:
            prompts.insert(0, ScoredPrompt(self.caption, start.score))
        prompts = [scored for scored in prompts if scored.prompt]
        if not prompts:
            raise RequestError("no caption and no phrase that fits, so no prompt: give a caption or more phrases")
        scores = Scorer(self.encoder, self.embedding).texts([scored.prompt for scored in prompts])
        index = first_best(scores)
        return ScoredPrompt(prompts[index].prompt, float(scores[index]), prompts[index].positions)

    def _grown(self, start: Chain, pool: Sequence[int], search: SearchOptions) -> ScoredPrompt:
        """A chain of the phrases at `pool`."""
        table = self.table
        at = dict(zip(table.texts_at(pool), pool, strict=True))
        if isinstance(self.encoder, TokenCache) and (known := table.tokens(pool)):
            self.encoder.remember_tokens(list(at), *known)
        candidates = {p: Candidate(text, table.banks[p].name, table.banks[p].quota) for text, p in at.items()}
        repeats = self._repeats(pool, search)
        steps = StickyProgress(self.progress) if self.progress else None
        score = Scorer(self.encoder, self.embedding, steps.again if steps else None)

        def fresh(chain: Chain, left: Sequence[Candidate]) -> list[Candidate]:
            taken = [at[candidate.text] for candidate in chain.taken]
            return [candidates[p] for p in repeats.fresh([at[c.text] for c in left], chain.prompt, taken)]

        chain = grow(
            start, list(candidates.values()), score, self.encoder.fits, search.min_phrases, search.max_phrases,
            search.beams, fresh if search.skips_repeats else None, steps,
        )  # fmt: skip
        return ScoredPrompt(chain.prompt, chain.score, tuple(at[taken.text] for taken in chain.taken))

    def _top(self, positions: Positions, search: SearchOptions, taken: Sequence[int] = ()) -> list[int]:
        """The `max_phrases` most similar of `positions`, most similar first, within quotas and without repeats.

        Args:
            taken: positions of the phrases already in the prompt.
        """
        if not search.skips_repeats:
            return self.table.top(self.scores, positions, search.max_phrases)
        chosen: list[int] = []
        for left in self._ranking(positions):
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

    def _ranking(self, positions: Positions) -> Iterator[list[int]]:
        """`positions` from the most to the least similar, in blocks, since few are ever needed."""
        done = 0
        while done < len(positions):
            order = self.scores.highest(
                positions, max(_BLOCK, 4 * done)
            )  # begins with the shorter order computed before
            for start in range(done, len(order), _BLOCK):
                yield order[start : start + _BLOCK]
            done = len(order)

    def _within_quota(self, positions: Sequence[int], chosen: Sequence[int]) -> list[int]:
        banks = self.table.banks
        held = Counter(banks[position].name for position in chosen)
        return [p for p in positions if (quota := banks[p].quota) is None or held[banks[p].name] < quota]

    def _repeats(self, positions: Sequence[int], search: SearchOptions) -> Repeats:
        return Repeats(positions, self.table.texts, self.table.embeddings, search.avoid_repeats, search.min_angle)

    def _fitted(self, head: str, head_positions: tuple[int, ...], groups: Sequence[Sequence[int]]) -> ScoredPrompt:
        """Head and as many groups of phrases as fit the context; phrases within a group are joined by spaces."""
        pieces = [" ".join(self._texts(group)) for group in groups]
        count = count_that_fit(head, pieces, self.encoder.fits)
        prompt = join(head, *pieces[:count])
        if not prompt:
            raise RequestError("no caption and no phrase that fits, so no prompt: give a caption or more phrases")
        positions = (*head_positions, *(position for group in groups[:count] for position in group))
        return ScoredPrompt(prompt, self.similarity(prompt), positions)

    def similarity(self, text: str) -> float:
        """The cosine of a text and the image, exact in float32."""
        return float(Scorer(self.encoder, self.embedding).texts([text])[0])

    def _texts(self, positions: Sequence[int]) -> list[str]:
        return self.table.texts_at(positions)


METHODS: dict[Mode, Callable[[PromptBuilder, SearchOptions], ScoredPrompt]] = {
    Mode.CLASSIC: PromptBuilder.classic,
    Mode.FAST: PromptBuilder.fast,
    Mode.BEST: PromptBuilder.best,
}
