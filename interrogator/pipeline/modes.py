"""The modes: from an image embedding, a caption and a table of phrases to a prompt.

What each mode means is clip-interrogator's (github.com/pharmapsychotic/clip-interrogator); where that library's
results depend on the layout of a file, on chance or on a sign error, these follow the intention instead.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass

from torch import Tensor

from ..banks import FLAVORS
from ..chain import Candidate, Chain, grow
from ..encoders import Encoder
from ..errors import RequestError
from ..progress import Progress, Retold
from ..prompts import count_that_fit, join
from ..ranking import first_best, similarities
from .results import Mode
from .table import PhraseTable

# How many phrases the chain chooses from: the reference's `flavor_intermediate_count`.
POOL = 2048
DEFAULT_PHRASES = {Mode.CLASSIC: 3}
DEFAULT_MAX_PHRASES = 32


@dataclass(frozen=True)
class Limits:
    """How many phrases: the chain's downhill steps, and the maximum of a prompt."""

    min_phrases: int
    max_phrases: int


@dataclass(frozen=True)
class Draft:
    """A prompt, its cosine with the image, and the places in the table of the phrases in it."""

    prompt: str
    similarity: float
    places: tuple[int, ...] = ()


class Sitting:
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

    def classic(self, limits: Limits) -> Draft:
        """`{caption}, {medium} {artist}, {site}, {movement}, {flavors}`; a slot without a bank is left out."""
        medium, artist, site, movement = (
            self.table.top(self.scores, self.table.slot(role), 1)
            for role in ("mediums", "artists", "sites", "movements")
        )
        flavors = self.table.top(self.scores, self.table.slot(FLAVORS), limits.max_phrases)
        head, second = self.caption, [*medium, *artist]
        head_places: tuple[int, ...] = ()
        if medium and head.startswith(self.table.texts[medium[0]]):
            # A caption that begins with the medium has said it: only the artist follows, without a comma.
            signed = " ".join([head, *self._texts(artist)])
            if self.encoder.fits(signed):
                head, head_places = signed, tuple(artist)
            second = []
        groups = [group for group in (second, site, movement, *([f] for f in flavors)) if group]
        return self._fitted(head, head_places, groups)

    def fast(self, limits: Limits) -> Draft:
        """The caption and the phrases most like the image, whatever bank they come from."""
        tops = self.table.top(self.scores, self.table.merged, limits.max_phrases)
        return self._fitted(self.caption, (), [[place] for place in tops])

    def best(self, limits: Limits) -> Draft:
        """The most similar of caption, classic, fast and a chain grown phrase by phrase."""
        pool = self.table.candidates(self.scores, self.table.merged, POOL)
        start = Chain(self.caption, self._similarity(self.caption) if self.caption else 0.0)
        drafts = [self.classic(limits), self.fast(limits), self._grown(start, pool, limits, sign=1)]
        if self.caption:
            drafts.insert(0, Draft(self.caption, start.score))
        drafts = [draft for draft in drafts if draft.prompt]
        if not drafts:
            raise RequestError("there is no caption and no phrase that fits, so there is no prompt")
        texts = self.encoder.encode_texts([draft.prompt for draft in drafts])  # [4, D]
        scores = similarities(self.embedding, texts)
        place = first_best(scores)
        return Draft(drafts[place].prompt, float(scores[place]), drafts[place].places)

    def negative(self, limits: Limits) -> Draft:
        """A prompt as unlike the image as can be, of flavors and the negative bank; the caption is not in it."""
        pool = self.table.negatives(self.scores, POOL)
        if not pool:
            raise RequestError("negative mode needs the bank negative or one of flavors")
        return self._grown(Chain("", 0.0), pool, limits, sign=-1)

    def _grown(self, start: Chain, pool: Sequence[int], limits: Limits, sign: int) -> Draft:
        """A chain of the phrases at `pool`; `sign` -1 looks for the least similar prompt."""
        at = {self.table.texts[place]: place for place in pool}
        candidates = [Candidate(self.table.texts[p], self.table.banks[p].name, self.table.banks[p].quota) for p in pool]
        steps = Retold(self.progress) if self.progress else None
        inside = {"progress": steps.again} if steps else {}

        def score(prompt: str, phrases: Sequence[str]) -> Tensor:
            rows = self.encoder.encode_continuations(prompt, phrases, **inside)  # [N, D]
            return sign * similarities(self.embedding, rows)

        chain = grow(start, candidates, score, self.encoder.fits, limits.min_phrases, limits.max_phrases, steps)
        return Draft(chain.prompt, sign * chain.score, tuple(at[taken.text] for taken in chain.taken))

    def _fitted(self, head: str, head_places: tuple[int, ...], groups: Sequence[Sequence[int]]) -> Draft:
        """Head and as many groups of phrases (words of a group go without a comma) as fit the context."""
        pieces = [" ".join(self._texts(group)) for group in groups]
        count = count_that_fit(head, pieces, self.encoder.fits)
        prompt = join(head, *pieces[:count])
        if not prompt:
            raise RequestError("there is no caption and no phrase that fits, so there is no prompt")
        places = (*head_places, *(place for group in groups[:count] for place in group))
        return Draft(prompt, self._similarity(prompt), places)

    def _similarity(self, text: str) -> float:
        return float(similarities(self.embedding, self.encoder.encode_texts([text]))[0])

    def _texts(self, places: Sequence[int]) -> list[str]:
        return [self.table.texts[place] for place in places]


METHODS: dict[Mode, Callable[[Sitting, Limits], Draft]] = {
    Mode.CLASSIC: Sitting.classic,
    Mode.FAST: Sitting.fast,
    Mode.BEST: Sitting.best,
    Mode.NEGATIVE: Sitting.negative,
}
