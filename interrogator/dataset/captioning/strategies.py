"""What each quality asks of the models. All strategies give candidates, the best first."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from typing import Any

from torch import Tensor

from ...captioners import LAION_COCO, Sampled
from ...captioners.sampling_options import one_sample
from ...models import Tag
from ...progress import Progress
from ...qualities import SHORT_LIST, Quality
from ...reading import Candidate, captions_of, embedded, with_tags
from ...taggers import join_tags
from .images import Picture
from .roles import Roles, held_tags, prepared

# Pictures whose captions are written together: the more, the less often the weights are read for a token. Keys and
# values of each, 42 MB in float32, have to fit; beams have three times as many.
_AT_ONCE = 32
# BLIP's own demo: beams of three, at least five tokens (github.com/salesforce/BLIP). LAION-COCO's samples, too.
_BEAMS, _LEAST_TOKENS = 3, 5


@dataclass(frozen=True, eq=False)
class Batch:
    """Pictures whose captions are written together.

    Attributes:
        rows: the embedding [D] of each picture, None where there is no encoder.
        tags: of each picture, None where there is no tagger.
        progress: may raise to stop.
    """

    pictures: Sequence[Picture]
    rows: Sequence[Tensor | None]
    tags: Sequence[Sequence[Tag] | None]
    progress: Progress | None = None

    def prepared(self, role: str) -> list[Any]:
        """What the model of a role made of the pictures."""
        return prepared(role, self.pictures)


Strategy = Callable[[Roles, Batch], list[list[Candidate]]]


def _greedy(roles: Roles, batch: Batch) -> list[list[Candidate]]:
    if not roles.settings.rules.forbidden:
        return _scored(roles, _captions(roles, batch, batch_size=_AT_ONCE), batch)
    # By the sampler, which can leave words out.
    return _scored(roles, _sampled(roles, batch, 1, temperature=roles.settings.temperature, min_new_tokens=0), batch)


def _beam(roles: Roles, batch: Batch) -> list[list[Candidate]]:
    return _scored(roles, _captions(roles, batch, num_beams=_BEAMS, min_new_tokens=_least(roles, _LEAST_TOKENS)), batch)


def _best_of_n(roles: Roles, batch: Batch) -> list[list[Candidate]]:
    sampled = _sampled(roles, batch, roles.settings.samples)
    return [_by(candidates, "clip") for candidates in _scored(roles, sampled, batch)]


def _capfilt(roles: Roles, batch: Batch) -> list[list[Candidate]]:
    sampled = _sampled(roles, batch, 1)
    texts = [[each.text for each in candidates] for candidates in sampled]
    matches = roles.use("matcher").match(batch.prepared("matcher"), texts, batch.progress)
    found = _scored(roles, sampled, batch)
    return [
        _with(candidates, "itm", scores[: len(candidates)])
        for candidates, scores in zip(found, matches.tolist(), strict=True)  # [B, N], NaN behind a short list
    ]


def _laion_coco(roles: Roles, batch: Batch) -> list[list[Candidate]]:
    sampled = _sampled(
        roles, batch, LAION_COCO.count, top_p=LAION_COCO.top_p, top_k=LAION_COCO.top_k,
        min_new_tokens=_least(roles, LAION_COCO.min_new_tokens),
    )  # fmt: skip
    short = [_by(candidates, "clip")[:SHORT_LIST] for candidates in _scored(roles, sampled, batch)]
    reranker = roles.use("reranker")
    reranker_rows = embedded(reranker, batch.prepared("reranker"), batch.progress)  # [B, D2]
    return [
        _by(_compared(reranker, "second", candidates, row, batch.progress), "second")
        for candidates, row in zip(short, reranker_rows, strict=True)
    ]


def _tags(roles: Roles, batch: Batch) -> list[list[Candidate]]:
    found = [[Candidate(join_tags(held_tags(roles.settings, tags or ())))] for tags in batch.tags]
    return _scored(roles, found, batch)


STRATEGIES: dict[str, Strategy] = {
    Quality.GREEDY.value: _greedy,
    Quality.BEAM.value: _beam,
    Quality.BEST_OF_N.value: _best_of_n,
    Quality.CAPFILT.value: _capfilt,
    Quality.LAION_COCO.value: _laion_coco,
    Quality.TAGS.value: _tags,
}


def _least(roles: Roles, wanted: int) -> int:
    """Tokens at least: as many as wanted, unless the limit is lower."""
    return min(wanted, roles.settings.max_new_tokens or wanted)


def _captions(roles: Roles, batch: Batch, **given: Any) -> list[list[Candidate]]:
    """The one caption of each picture."""
    settings = roles.settings
    options = with_tags(replace(settings.caption_options, **given), batch.tags, settings.tag_rules)
    captions = captions_of(roles.use("captioner"), batch.prepared("captioner"), options, batch.progress)
    return [[each] for each in captions]


def _sampled(roles: Roles, batch: Batch, count: int, **given: Any) -> list[list[Candidate]]:
    """Different captions of each picture, in the order they were sampled."""
    settings = roles.settings
    asked = one_sample(with_tags(settings.caption_options, batch.tags, settings.tag_rules))
    rules = {"temperature": settings.temperature or 1.0, "min_new_tokens": _least(roles, _LEAST_TOKENS), **given}
    options = replace(asked, count=count, forbidden=settings.rules.forbidden, batch_size=_AT_ONCE, **rules)
    keys = [f"{picture.item.source}/{picture.item.key}" for picture in batch.pictures]
    found = []
    for samples in roles.use("captioner").sample(batch.prepared("captioner"), keys, options, batch.progress):
        first = {each.text: each for each in reversed(samples)}
        kept = dict.fromkeys(each.text for each in samples if each.text)
        found.append([_candidate(first[text]) for text in kept])
    return found


def _candidate(sampled: Sampled) -> Candidate:
    """A sampled caption with its probability, where the captioner knows it."""
    mean = sampled.mean_log_probability
    return Candidate(sampled.text, {} if mean is None else {"log_probability": mean})


def _scored(roles: Roles, found: list[list[Candidate]], batch: Batch) -> list[list[Candidate]]:
    """The candidates with their similarity, where there is an encoder to tell."""
    if roles.encoder is None:
        return found
    encoder = roles.use("encoder")
    return [
        candidates if row is None else _compared(encoder, "clip", candidates, row, batch.progress)
        for candidates, row in zip(found, batch.rows, strict=True)
    ]


def _compared(
    encoder: Any, score: str, candidates: list[Candidate], row: Tensor, progress: Progress | None
) -> list[Candidate]:
    """The candidates with their cosine with an image [D]; computed for one picture alone, whatever the batch."""
    texts: Tensor = encoder.encode_texts([each.text for each in candidates], progress)  # [N, D]
    return _with(candidates, score, (texts.float() @ row.float()).tolist())


def _with(candidates: Sequence[Candidate], name: str, scores: Sequence[float]) -> list[Candidate]:
    return [each.with_score(name, score) for each, score in zip(candidates, scores, strict=True)]


def _by(candidates: Sequence[Candidate], score: str) -> list[Candidate]:
    """The candidates with the highest score first; of equal ones the one that was first."""
    return sorted(candidates, key=lambda each: -each.scores[score])
